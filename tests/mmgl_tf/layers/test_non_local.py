import keras
import numpy as np
import pytest
import tensorflow as tf

from mmgl_tf.layers.non_local import NonLocal
from tests.mmgl_tf.reference_weights import assign_by_recipe, reference_key


def by_recipe(layer):
    def key_of(path):  # the golden numbers' block stands alone
        return reference_key(f"non_local_layer2_2/{path.split('/', 1)[1]}").removeprefix("NL_2.0.")

    assign_by_recipe(layer.variables, key_of)
    return layer


def slow_non_local(layer, x, training=False):
    """The formula as it stands, with the N x N products, one image at a time, float64."""
    values = {v.path.split("/", 1)[1]: v.numpy().astype("float64") for v in layer.variables}
    projected = []
    for image in x.astype("float64").reshape(len(x), -1, x.shape[-1]):
        theta, phi, g = (image @ values[f"{n}/kernel"] + values[f"{n}/bias"] for n in ("theta", "phi", "g"))
        pairs = np.array([[t @ p for p in phi] for t in theta]) / len(image)
        projected.append(pairs @ g @ values["project/kernel"] + values["project/bias"])
    y = np.array(projected)
    mean, variance = values["norm/moving_mean"], values["norm/moving_variance"]
    if training:
        mean, variance = y.mean(axis=(0, 1)), y.var(axis=(0, 1))
    y = (y - mean) / np.sqrt(variance + 1e-5) * values["norm/gamma"] + values["norm/beta"]
    return x + y.reshape(x.shape)


def drawn(shape=(2, 8, 3, 2), seed=1):
    """Normal values, drawn channels first as the golden numbers have them, [B, H, W, C]."""
    return np.random.RandomState(seed).randn(*shape).astype("float32").transpose(0, 2, 3, 1)


def built(channels=8, **kwargs):
    layer = NonLocal(**{"name": "block", **kwargs})
    layer.build((None, None, None, channels))
    return layer


def test_golden_numbers_of_the_reference():
    layer = by_recipe(built())
    found = layer(drawn()).numpy()
    assert found.sum() == pytest.approx(9.637794, abs=2e-6)
    assert np.linalg.norm(found) == pytest.approx(8.870934, abs=1e-6)
    first = found.transpose(0, 3, 1, 2).ravel()[:4]
    np.testing.assert_allclose(first, [1.645432, -0.620588, -0.493904, -1.078581], atol=1e-6)
    assert np.linalg.norm(layer(drawn(), training=True)) == pytest.approx(12.415967, rel=1e-5)


@pytest.mark.parametrize("inner_channels", [1, 3])
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("jit", [False, True])
def test_output_follows_the_slow_version(inner_channels, training, jit):
    layer = by_recipe(built(inner_channels=inner_channels))
    layer.norm.gamma.assign(2 + drawn((8, 1, 1, 1)).ravel())
    x = drawn((3, 8, 5, 4))
    expected = slow_non_local(layer, x, training)
    call = tf.function(lambda x: layer(x, training=training), jit_compile=jit, autograph=False)
    np.testing.assert_allclose(call(x), expected, atol=2e-5)
    assert np.abs(expected - x).max() > 0.1


def test_positions_in_another_order_give_the_same_in_that_order():
    layer, x = by_recipe(built()), drawn((2, 8, 4, 3))
    order = np.random.RandomState(0).permutation(12)
    mixed = x.reshape(2, 12, 8)[:, order].reshape(2, 3, 4, 8)  # another height and width, too
    expected = layer(x).numpy().reshape(2, 12, 8)[:, order]
    np.testing.assert_allclose(layer(mixed).numpy().reshape(2, 12, 8), expected, atol=1e-6)


def test_no_pair_of_positions_is_stored():
    layer = built(16)
    call = tf.function(lambda x: layer(x), autograph=False).get_concrete_function(
        tf.TensorSpec([1, 50, 40, 16])
    )
    largest = max(np.prod(t.shape) for op in call.graph.get_operations() for t in op.outputs if t.shape.rank)
    assert largest == 50 * 40 * 16


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_it_starts_as_the_identity(training, policy):
    layer = built(dtype=policy)
    x = tf.cast(drawn(), layer.compute_dtype)
    np.testing.assert_array_equal(tf.cast(layer(x, training=training), tf.float32), tf.cast(x, tf.float32))


def test_only_the_norm_learns_at_first_and_then_everything_does():
    layer, x = built(), drawn()

    def learning():
        with tf.GradientTape() as tape:
            total = tf.reduce_sum(layer(x, training=True) ** 3)
        gradients = tape.gradient(total, [v.value for v in layer.trainable_variables])
        pairs = zip(layer.trainable_variables, gradients, strict=True)
        return {v.path for v, gradient in pairs if np.abs(gradient).max() > 0.1}

    assert learning() == {"block/norm/gamma", "block/norm/beta"}
    layer.norm.gamma.assign(np.ones(8))
    # The norm takes the mean away, and with it what the projection's bias adds, but for rounding.
    assert learning() == {v.path for v in layer.trainable_variables} - {"block/project/bias"}


def test_variables_have_names_and_the_published_count():
    names = [
        f"block/{part}/{leaf}" for part in ("theta", "phi", "g", "project") for leaf in ("kernel", "bias")
    ]
    names += ["block/norm/gamma", "block/norm/beta"]
    assert [v.path for v in built().trainable_variables] == names
    assert [v.path for v in built().non_trainable_variables] == [
        "block/norm/moving_mean",
        "block/norm/moving_variance",
    ]
    blocks = [built(channels) for channels in (512, 512, 1024, 1024, 1024)]
    assert sum(v.shape.num_elements() for block in blocks for v in block.trainable_variables) == 28687


def test_initial_weights_are_pytorchs_and_depend_on_seed_and_place_alone():
    def weights(**kwargs):
        return {v.path: v.numpy() for v in built(512, inner_channels=4, **kwargs).trainable_variables}

    first = weights(place="layer2/2")
    for part in ("theta", "phi", "g", "project"):
        limit = 1 / np.sqrt(4 if part == "project" else 512)
        for leaf, lowest in (("kernel", 0.99), ("bias", 0.3)):
            assert lowest * limit < np.abs(first[f"block/{part}/{leaf}"]).max() <= limit
        kernel = first[f"block/{part}/kernel"]
        assert kernel.std() == pytest.approx(limit / np.sqrt(3), rel=0.05)
        assert abs(kernel.mean()) < 0.1 * limit
    assert not np.array_equal(first["block/theta/kernel"], first["block/phi/kernel"])
    for name, value in weights(place="layer2/2").items():
        np.testing.assert_array_equal(value, first[name])
    for other in (weights(place="layer2/3"), weights(place="layer2/2", seed=1)):
        assert all(not np.array_equal(v, first[k]) for k, v in other.items() if "/norm/" not in k)


def test_blocks_of_different_names_start_differently():
    one, other = built(name="non_local_0"), built(name="non_local_1")
    assert not np.array_equal(one.theta.kernel.numpy(), other.theta.kernel.numpy())
    assert not np.array_equal(one.theta.kernel.numpy().ravel(), one.g.kernel.numpy().ravel())
    assert not np.array_equal(one.project.kernel.numpy().ravel(), one.project.bias.numpy())


def test_sums_over_positions_are_float32_under_mixed_precision():
    layer = by_recipe(built(dtype="mixed_bfloat16"))
    x = tf.cast(drawn((2, 8, 18, 9)), tf.bfloat16)
    found = layer(x)
    assert found.dtype == tf.bfloat16
    expected = slow_non_local(layer, tf.cast(x, tf.float32).numpy())
    np.testing.assert_allclose(tf.cast(found, tf.float32), expected, atol=0.03)
    call = tf.function(lambda x: layer(x), autograph=False).get_concrete_function(x)
    products = [op for op in call.graph.get_operations() if op.type.startswith("BatchMatMul")]
    assert any(op.outputs[0].dtype == tf.float32 for op in products)


def test_config_rebuilds_the_layer_and_its_weights():
    layer = built(inner_channels=2, place="layer3/5", seed=7)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert again.get_config() == layer.get_config()
    for one, other in zip(layer.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert layer.compute_output_shape((None, 6, 3, 8)) == (None, 6, 3, 8)


def test_weights_survive_saving(tmp_path):
    model = keras.Sequential([keras.Input((3, 2, 8)), NonLocal(name="block")])
    by_recipe(model.layers[0])
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again(drawn()), model(drawn()))


def test_bad_arguments_say_what_was_expected():
    with pytest.raises(ValueError, match="inner_channels=0; expected an integer of at least 1"):
        NonLocal(0)
    with pytest.raises(ValueError, match=r"input shape \(None, 8\); expected \[B, H, W, C\]"):
        NonLocal().build((None, 8))
