import keras
import numpy as np
import pytest
import tensorflow as tf

from mmgl_tf.layers.normalization.batch_norm import FusedBatchNorm
from mmgl_tf.layers.normalization.frozen_statistics import frozen_statistics

SHAPES = [(6, 5), (3, 4, 2, 5)]


def slow_batch_norm(x, gamma, beta, epsilon):
    """Normalised values, and mean and both variances of each channel, in float64."""
    flat = x.reshape(-1, x.shape[-1]).astype("float64")
    mean = flat.sum(axis=0) / len(flat)
    squares = ((flat - mean) ** 2).sum(axis=0)
    biased = squares / len(flat)
    y = (flat - mean) / np.sqrt(biased + epsilon) * gamma + beta
    return y.reshape(x.shape), mean, biased, squares / max(len(flat) - 1, 1)


def drawn_layer(channels=5, **kwargs):
    """A layer whose four vectors are random."""
    layer = FusedBatchNorm(**kwargs)
    layer.build((None, channels))
    random = np.random.RandomState(0)
    layer.gamma.assign(1 + 0.3 * random.randn(channels))
    layer.beta.assign(random.randn(channels))
    layer.moving_mean.assign(random.randn(channels))
    layer.moving_variance.assign(0.5 + random.rand(channels))
    return layer


def drawn_input(shape, seed=1):
    return (2.0 + 3.0 * np.random.RandomState(seed).randn(*shape)).astype("float32")


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("epsilon", [1e-5, 0.5])
def test_training_output_follows_the_formula(shape, epsilon):
    layer, x = drawn_layer(epsilon=epsilon), drawn_input(shape)
    expected, *_ = slow_batch_norm(x, layer.gamma.numpy(), layer.beta.numpy(), epsilon)
    np.testing.assert_allclose(layer(x, training=True), expected, atol=1e-5)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("jit", [False, True])
def test_moving_statistics_take_the_unbiased_variance(shape, compiled, jit):
    layer = drawn_layer(momentum=0.7)
    step = (
        tf.function(lambda x: layer(x, training=True), jit_compile=jit, autograph=False)
        if compiled
        else layer
    )
    mean, variance = layer.moving_mean.numpy(), layer.moving_variance.numpy()
    for seed in range(3):
        x = drawn_input(shape, seed)
        step(x) if compiled else layer(x, training=True)
        _, batch_mean, _, unbiased = slow_batch_norm(x, 1.0, 0.0, 1e-5)
        mean, variance = 0.7 * mean + 0.3 * batch_mean, 0.7 * variance + 0.3 * unbiased
    np.testing.assert_allclose(layer.moving_mean, mean, rtol=1e-5)
    np.testing.assert_allclose(layer.moving_variance, variance, rtol=1e-5)


@pytest.mark.parametrize("shape", SHAPES)
def test_inference_uses_and_keeps_the_moving_statistics(shape):
    layer, x = drawn_layer(), drawn_input(shape)
    before = layer.get_weights()
    scale = layer.gamma.numpy() / np.sqrt(layer.moving_variance.numpy() + 1e-5)
    expected = (x - layer.moving_mean.numpy()) * scale + layer.beta.numpy()
    for y in (layer(x), layer(x, training=False)):
        np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-5)
    for was, now in zip(before, layer.get_weights(), strict=True):
        np.testing.assert_array_equal(was, now)


def test_a_frozen_layer_infers_even_in_training():
    layer, x = drawn_layer(), drawn_input((6, 5))
    expected = layer(x, training=False).numpy()
    layer.trainable = False
    before = layer.get_weights()
    np.testing.assert_array_equal(layer(x, training=True), expected)
    for was, now in zip(before, layer.get_weights(), strict=True):
        np.testing.assert_array_equal(was, now)


@pytest.mark.parametrize("compiled", [False, True])
def test_batch_statistics_can_be_used_without_being_recorded(compiled):
    layer, x = drawn_layer(), drawn_input((6, 5))
    step = (
        tf.function(lambda x: layer(x, training=True), autograph=False)
        if compiled
        else lambda x: layer(x, training=True)
    )
    before = layer.get_weights()
    with frozen_statistics():
        y = step(x)
    for was, now in zip(before, layer.get_weights(), strict=True):
        np.testing.assert_array_equal(was, now)
    np.testing.assert_array_equal(layer(x, training=True), y)
    assert not np.allclose(layer.moving_mean, before[2])


@pytest.mark.parametrize("shape", SHAPES)
def test_gradients_follow_central_differences(shape):
    layer, x = drawn_layer(), drawn_input(shape)
    random = np.random.RandomState(3)
    direction = random.randn(*shape)
    gamma, beta = layer.gamma.numpy().astype("float64"), layer.beta.numpy().astype("float64")
    with tf.GradientTape() as tape:
        inputs = tf.constant(x)
        tape.watch(inputs)
        value = tf.reduce_sum(layer(inputs, training=True) * tf.constant(direction, tf.float32))
    by_x, by_gamma, by_beta = tape.gradient(value, [inputs, layer.gamma.value, layer.beta.value])

    def slow(x, gamma, beta):
        return np.sum(slow_batch_norm(x, gamma, beta, 1e-5)[0] * direction)

    for gradient, start, place in ((by_x, x.astype("float64"), 0), (by_gamma, gamma, 1), (by_beta, beta, 2)):
        change = 1e-4 * random.randn(*start.shape)
        arguments = [[x.astype("float64"), gamma, beta] for _ in range(2)]
        arguments[0][place], arguments[1][place] = start + change, start - change
        difference = (slow(*arguments[0]) - slow(*arguments[1])) / 2
        assert np.sum(gradient.numpy() * change) == pytest.approx(difference, rel=1e-3)


def test_one_value_per_channel_gives_beta_and_a_shrinking_variance():
    layer, x = drawn_layer(), drawn_input((1, 5))
    variance = layer.moving_variance.numpy()
    np.testing.assert_allclose(layer(x, training=True)[0], layer.beta, atol=1e-6)
    np.testing.assert_allclose(layer.moving_variance, 0.9 * variance, rtol=1e-6)


def test_mixed_precision_keeps_statistics_and_affine_map_in_float32():
    exact, mixed = drawn_layer(), drawn_layer(dtype="mixed_bfloat16")
    x = tf.cast(drawn_input((8, 16, 8, 5)), tf.bfloat16)
    y = mixed(x, training=True)
    expected = exact(tf.cast(x, tf.float32), training=True)
    assert y.dtype == tf.bfloat16
    assert {v.dtype for v in mixed.variables} == {"float32"}
    assert {v.dtype for v in drawn_layer(dtype="bfloat16").variables} == {"float32"}
    np.testing.assert_allclose(tf.cast(y, tf.float32), expected, rtol=0.01, atol=0.01)
    # The same bfloat16 input, summed in float32: far closer than bfloat16's 3 digits.
    np.testing.assert_allclose(mixed.moving_mean, exact.moving_mean, rtol=1e-5)
    np.testing.assert_allclose(mixed.moving_variance, exact.moving_variance, rtol=1e-5)


@pytest.mark.parametrize("shape", [*SHAPES, (1, 5)])
def test_in_float64_it_computes_what_the_fused_kernels_do(shape):
    x, direction, found = drawn_input(shape), drawn_input(shape, 2), {}
    for dtype in ("float32", "float64"):
        layer = drawn_layer(dtype=dtype)
        with tf.GradientTape() as tape:
            inputs = tf.constant(x, dtype)
            tape.watch(inputs)
            y = layer(inputs, training=True)
        sources = [inputs, layer.gamma.value, layer.beta.value]
        gradients = tape.gradient(y, sources, output_gradients=tf.constant(direction, dtype))
        found[dtype] = [y, *gradients, layer.moving_mean, layer.moving_variance, layer(inputs)]
        assert {tf.as_dtype(value.dtype).name for value in found[dtype]} == {dtype}
    for fused, exact in zip(*found.values(), strict=True):
        np.testing.assert_allclose(fused, exact, rtol=1e-5, atol=1e-5 * np.abs(exact).max())
    expected, *_ = slow_batch_norm(x, layer.gamma.numpy(), layer.beta.numpy(), 1e-5)
    np.testing.assert_allclose(found["float64"][0], expected, rtol=1e-9, atol=1e-12)


def test_variables_are_named_and_split_by_trainability():
    layer = drawn_layer(name="bn1")
    assert [v.path for v in layer.trainable_variables] == ["bn1/gamma", "bn1/beta"]
    assert [v.path for v in layer.non_trainable_variables] == ["bn1/moving_mean", "bn1/moving_variance"]


def test_training_argument_reaches_the_layer_inside_fit():
    layer = FusedBatchNorm()
    model = keras.Sequential([keras.Input((4,)), layer])
    model.compile(optimizer=keras.optimizers.SGD(0.0), loss="mse")
    x = drawn_input((8, 4))
    model.fit(x, x, batch_size=8, verbose=0)
    _, mean, _, unbiased = slow_batch_norm(x, 1.0, 0.0, 1e-5)
    np.testing.assert_allclose(layer.moving_mean, 0.1 * mean, rtol=1e-5)
    np.testing.assert_allclose(layer.moving_variance, 0.9 + 0.1 * unbiased, rtol=1e-5)


def test_config_rebuilds_the_layer():
    layer = FusedBatchNorm(
        epsilon=1e-3, momentum=0.8, gamma_initializer=keras.initializers.RandomNormal(1.0, 0.01, seed=0)
    )
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert again.get_config() == layer.get_config()
    assert (again.epsilon, again.momentum) == (1e-3, 0.8)
    x = drawn_input((6, 5))
    np.testing.assert_array_equal(again(x), layer(x))


def test_bad_arguments_say_what_was_expected():
    with pytest.raises(ValueError, match=r"momentum=1\.5; expected .* in \[0, 1\]"):
        FusedBatchNorm(momentum=1.5)
    with pytest.raises(ValueError, match="epsilon=0; expected a positive number"):
        FusedBatchNorm(epsilon=0)
    with pytest.raises(ValueError, match=r"expected \[B, C\] or \[B, H, W, C\]"):
        FusedBatchNorm().build((None, 3, 5))


def test_a_few_steps_agree_with_pytorch():
    torch = pytest.importorskip("torch")
    layer, peer = drawn_layer(), torch.nn.BatchNorm2d(5, eps=1e-5, momentum=0.1)
    with torch.no_grad():
        for target, source in (
            (peer.weight, layer.gamma),
            (peer.bias, layer.beta),
            (peer.running_mean, layer.moving_mean),
            (peer.running_var, layer.moving_variance),
        ):
            target.copy_(torch.from_numpy(source.numpy()))
    for seed in range(3):
        x = drawn_input((3, 4, 2, 5), seed)
        expected = peer(torch.from_numpy(x.transpose(0, 3, 1, 2))).detach().numpy().transpose(0, 2, 3, 1)
        np.testing.assert_allclose(layer(x, training=True), expected, atol=1e-5)
    np.testing.assert_allclose(layer.moving_mean, peer.running_mean.numpy(), rtol=1e-5)
    np.testing.assert_allclose(layer.moving_variance, peer.running_var.numpy(), rtol=1e-5)
