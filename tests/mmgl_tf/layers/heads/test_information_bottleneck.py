import keras
import numpy as np
import pytest
import tensorflow as tf

from mmgl_tf.layers.heads.information_bottleneck import InformationBottleneck
from tests.mmgl_tf.layers.slow_layers import assert_layer_follows, fill, normalised

FLAT = ("linear1/bias", "linear2/bias")  # in front of a batch norm


def built(channels=4, size=3, widths=(5, 4), **kwargs):
    layer = InformationBottleneck(size, widths, **kwargs)
    layer.build((None, channels))
    return layer


def slow_bottleneck(values, x, training=False):
    for i in (1, 2):
        x = x @ values[f"linear{i}/kernel"] + values[f"linear{i}/bias"]
        x = np.maximum(normalised(x, values, f"norm{i}", training), 0)
    return x @ values["linear3/kernel"] + values["linear3/bias"]


@pytest.mark.parametrize("training", [False, True])
def test_values_and_gradients_follow_the_slow_version(training):
    assert_layer_follows(
        built,
        lambda layer, x: layer(x, training=training),
        lambda values, x: slow_bottleneck(values, x, training),
        np.random.RandomState(5).randn(6, 4),
        filled=lambda layer: fill(layer, 2),  # with it no unit is dead
        flat=FLAT if training else (),
    )


def test_initial_values_and_published_count():
    layer = built(2048, 512, (1000, 500))
    # With the classifier on it 3,042,367 at 395 identities, see `test_bottleneck_classifier`.
    assert sum(v.shape.num_elements() for v in layer.trainable_variables) == 2_809_012
    for i, width in enumerate((1000, 500, 512), 1):
        linear = getattr(layer, f"linear{i}")
        assert linear.kernel.numpy().std() == pytest.approx(np.sqrt(2 / width), rel=0.01)
        np.testing.assert_array_equal(linear.bias, np.zeros(width))
    for norm in (layer.norm1, layer.norm2):
        assert norm.gamma.numpy().mean() == pytest.approx(1.0, abs=0.003)
        assert norm.gamma.numpy().std() == pytest.approx(0.02, rel=0.1)
        np.testing.assert_array_equal(norm.beta, np.zeros_like(norm.beta))
    names = [f"linear{i}/{leaf}" for i in (1, 2, 3) for leaf in ("kernel", "bias")]
    names += [f"norm{i}/{leaf}" for i in (1, 2) for leaf in ("gamma", "beta")]
    assert {v.path for v in layer.trainable_variables} == {f"bottleneck/{name}" for name in names}
    other = built(2048, 512, (1000, 500), place="shared")
    assert not np.array_equal(other.linear1.kernel, layer.linear1.kernel)
    assert not np.array_equal(other.norm1.gamma, layer.norm1.gamma)


def test_it_is_deterministic_float32_and_config_rebuilds_it():
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    layer = built(seed=4, place="b")
    x = tf.ones([3, 4], tf.bfloat16)
    assert layer(x).dtype == tf.float32
    np.testing.assert_array_equal(layer(x), layer(x))
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert again.get_config() == layer.get_config()
    assert again.compute_output_shape((None, 4)) == (None, 3)
