import keras
import numpy as np
import pytest
import tensorflow as tf

from mmgl_tf.layers.attention.part_aggregation import PartAggregation
from tests.mmgl_tf.layers.slow_layers import assert_layer_follows, normalised, softmax
from tests.mmgl_tf.reference_weights import recipe


def built(parts=3, channels=8, **kwargs):
    layer = PartAggregation(parts, **kwargs)
    layer.build((None, None, None, channels))
    return layer


def by_recipe():
    layer = built()
    for name, key in (("query", "fc1.0"), ("key", "fc2"), ("value", "fc3")):
        linear = getattr(layer, name)
        linear.kernel.assign(recipe(f"{key}.weight", (8, 8)).T)
        linear.bias.assign(recipe(f"{key}.bias", (8,)))
    layer.gate.assign(recipe("gate", (3,)))
    layer.neck.gamma.assign(recipe("bottleneck.weight", (8,)))
    layer.neck.moving_mean.assign(recipe("bottleneck.running_mean", (8,)))
    layer.neck.moving_variance.assign(recipe("bottleneck.running_var", (8,)))
    # Frozen at 0 in the reference, where ours has none; the golden numbers' recipe fills it all the same.
    layer.neck.beta = recipe("bottleneck.bias", (8,)).astype("float32")
    return layer


def drawn(seed, shape):
    values = np.random.RandomState(seed).randn(*shape)
    return values if len(shape) == 2 else values.transpose(0, 2, 3, 1)


def slow_aggregation(values, feature_map, feature, training=False, parts=3):
    """Image by image."""
    rows, added = feature_map.shape[1], []
    gate = softmax(values["gate"])
    for image in feature_map:
        bands = [image[p * rows // parts : -(-(p + 1) * rows // parts)] for p in range(parts)]
        x = np.array([band.mean(axis=(0, 1)) for band in bands])
        q, k, v = (x @ values[f"{n}/kernel"] + values[f"{n}/bias"] for n in ("query", "key", "value"))
        attention = softmax(np.array([[q[i] @ k[j] for j in range(parts)] for i in range(parts)]))
        added.append(sum(gate[i] * attention[i, j] * v[j] for i in range(parts) for j in range(parts)))
    return normalised(np.array(added) + feature, values, "neck", training)


def test_golden_numbers_of_the_reference():
    layer, feature = by_recipe(), drawn(2, (4, 8)).astype("float32")
    feature_map = drawn(3, (4, 8, 6, 3)).astype("float32")
    found = layer(feature_map, feature).numpy()
    assert found.sum() == pytest.approx(-8.180949, abs=3e-6)
    assert np.linalg.norm(found) == pytest.approx(6.579586, abs=1e-6)
    first = [-0.354683, -0.109272, -2.583045, 1.764817]
    np.testing.assert_allclose(found.ravel()[:4], first, atol=1e-6)
    assert np.linalg.norm(layer(feature_map, feature, training=True)) == pytest.approx(5.828683, rel=1e-6)
    # The uneven rows' numbers were taken behind that step in training mode, with the statistics it left.
    found = layer(drawn(3, (4, 8, 7, 3)).astype("float32"), feature).numpy()
    assert found.sum() == pytest.approx(-7.308424, abs=3e-6)
    assert np.linalg.norm(found) == pytest.approx(6.197975, abs=1e-6)


@pytest.mark.parametrize(("training", "rows"), [(False, 6), (True, 7)])
def test_values_and_gradients_follow_the_slow_version(training, rows):
    assert_layer_follows(
        lambda: built(channels=3),
        lambda layer, x, f: layer(x, f, training=training),
        lambda values, x, f: slow_aggregation(values, x, f, training),
        drawn(3, (4, 3, rows, 2)),
        drawn(2, (4, 3)),
        flat=("key/bias", "value/bias") if training else ("key/bias",),
    )


def test_equal_parts_add_their_value_whatever_the_gate():
    layer = by_recipe()
    layer.gate.assign([5.0, -3.0, 0.0])
    feature = drawn(2, (4, 8)).astype("float32")
    row = drawn(4, (4, 8)).astype("float32")
    found = layer(np.tile(row[:, None, None], (1, 6, 3, 1)), feature)
    expected = layer.neck(layer.value(row) + feature)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_initial_values_and_names():
    layer = built(channels=512)
    np.testing.assert_allclose(layer.gate, [1 / 3] * 3)
    for name in ("query", "key", "value"):
        linear = getattr(layer, name)
        for weight in (linear.kernel, linear.bias):
            assert 0.98 / np.sqrt(512) < np.abs(weight.numpy()).max() <= 1 / np.sqrt(512)
    assert layer.neck.gamma.numpy().std() == pytest.approx(0.01, rel=0.15)
    assert not np.array_equal(layer.query.kernel, layer.key.kernel)
    leaves = ("query/kernel", "query/bias", "key/kernel", "key/bias", "value/kernel", "value/bias")
    expected = {f"parts/{leaf}" for leaf in (*leaves, "gate", "neck/gamma")}
    assert {v.path for v in layer.trainable_variables} == expected


def test_it_is_float32_under_mixed_precision_and_config_rebuilds_it():
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    layer = built(place="wpa", seed=3)
    found = layer(tf.ones([2, 6, 3, 8], tf.bfloat16), tf.ones([2, 8]))
    assert found.dtype == tf.float32
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert again.get_config() == layer.get_config()
    assert layer.compute_output_shape((None, 6, 3, 8)) == (None, 8)
    with pytest.raises(ValueError, match="parts=0; expected an integer of at least 1"):
        PartAggregation(0)
