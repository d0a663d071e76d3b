import keras
import numpy as np
import pytest
import tensorflow as tf

from mmgl_tf.layers.dropout import dropout
from mmgl_tf.layers.heads.bottleneck_classifier import BottleneckClassifier
from tests.mmgl_tf.layers.slow_layers import assert_layer_follows, normalised

SEED = tf.constant([3, 4])


def built(channels=4, classes=3, width=5, **kwargs):
    layer = BottleneckClassifier(classes, width, **kwargs)
    layer.build((None, channels))
    return layer


def slow_classifier(values, x, training=False, mask=1.0, slope=0.1):
    x = x @ values["linear1/kernel"] + values["linear1/bias"]
    x = normalised(x, values, "norm", training)
    x = np.where(x > 0, x, slope * x) * mask
    return x @ values["linear2/kernel"] + values["linear2/bias"]


@pytest.mark.parametrize("training", [False, True])
def test_values_and_gradients_follow_the_slow_version(training):
    mask = dropout(tf.ones([6, 5], tf.float64), 0.5, SEED).numpy() if training else 1.0
    assert_layer_follows(
        built,
        lambda layer, x: layer(x, training=training, seed=SEED),
        lambda values, x: slow_classifier(values, x, training, mask),
        np.random.RandomState(5).randn(6, 4),
        flat=("linear1/bias",) if training else (),
    )


def test_an_images_dropout_stays_with_it():
    layer, x = built(), np.random.RandomState(0).randn(6, 4).astype("float32")
    layer.norm.trainable = False  # so that rows do not meet
    seeds = tf.constant([[1, i] for i in range(6)])
    whole = layer(x, training=True, seed=seeds)
    np.testing.assert_allclose(layer(x[2:5], training=True, seed=seeds[2:5]), whole[2:5], atol=1e-7)
    with pytest.raises(ValueError, match="seed=None"):
        layer(x, training=True)


def test_initial_values_and_published_count():
    layer = built(512, 395, 256)
    assert sum(v.shape.num_elements() for v in layer.trainable_variables) == 3_042_367 - 2_809_012
    for linear in (layer.linear1, layer.linear2):
        assert linear.kernel.numpy().std() == pytest.approx(0.001, rel=0.01)
        np.testing.assert_array_equal(linear.bias, np.zeros_like(linear.bias))
    np.testing.assert_array_equal(layer.norm.gamma, np.ones(256))


def test_it_is_float32_and_config_rebuilds_it():
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    layer = built(seed=4, place="b", slope=0.2, rate=0.1)
    assert layer(tf.ones([3, 4], tf.bfloat16)).dtype == tf.float32
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert again.get_config() == layer.get_config()
    assert again.compute_output_shape((None, 4)) == (None, 3)
