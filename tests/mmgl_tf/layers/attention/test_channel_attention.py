import keras
import numpy as np
import pytest
import tensorflow as tf

from mmgl_tf.layers.attention.channel_attention import ChannelSelfAttention
from tests.mmgl_tf.golden_waves import waves
from tests.mmgl_tf.layers.slow_layers import assert_layer_follows, softmax


def built(channels=8, **kwargs):
    layer = ChannelSelfAttention(**{"name": "cam", **kwargs})
    layer.build((None, None, None, channels))
    return layer


def slow_cam(values, x):
    found = np.zeros_like(x)
    for b, image in enumerate(x):
        rows = image.reshape(-1, image.shape[-1]).T  # channels
        products = np.array([[a @ c for c in rows] for a in rows])
        attention = softmax(products.max(axis=1, keepdims=True) - products)
        found[b] = (values["gamma"] * attention @ rows + rows).T.reshape(image.shape)
    return found


def test_golden_numbers_of_the_reference():
    layer = built()
    layer.gamma.assign([0.5])
    x = waves(2, 96, 0).reshape(2, 8, 3, 4).transpose(0, 2, 3, 1)
    found = layer(x).numpy().transpose(0, 3, 1, 2)
    assert found.sum() == pytest.approx(16.18586, abs=1e-5)
    np.testing.assert_allclose(found[0, 0, 0], [-0.051822, 0.146529, 0.325047, 0.459572], atol=1e-6)


def test_values_and_gradients_follow_the_slow_version():
    x = 0.5 * np.random.RandomState(0).randn(2, 3, 2, 4)
    assert_layer_follows(lambda: built(4), lambda layer, x: layer(x), slow_cam, x)


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_it_starts_as_the_identity_and_gamma_learns_at_once(policy):
    layer = built(dtype=policy)
    x = tf.cast(np.random.RandomState(0).randn(2, 3, 4, 8), layer.compute_dtype)
    with tf.GradientTape() as tape:
        found = layer(x)
        total = tf.reduce_sum(tf.cast(found, tf.float32) ** 2)
    np.testing.assert_array_equal(tf.cast(found, tf.float32), tf.cast(x, tf.float32))
    assert abs(tape.gradient(total, layer.gamma.value).numpy()[0]) > 0.1
    assert [tuple(v.shape) for v in layer.variables] == [(1,)]


def test_products_do_not_overflow_float16():
    layer = built(dtype="mixed_float16")
    layer.gamma.assign([0.5])
    x = tf.cast(8 + np.random.RandomState(0).rand(1, 32, 64, 8), tf.float16)  # sums of 2048 times 64
    found = layer(x)
    assert found.dtype == tf.float16
    expected = slow_cam({"gamma": 0.5}, np.float64(tf.cast(x, tf.float64)))
    np.testing.assert_allclose(tf.cast(found, tf.float64), expected, rtol=2e-3)


def test_places_in_another_order_give_the_same_in_that_order():
    layer = built()
    layer.gamma.assign([0.7])
    x = np.random.RandomState(0).randn(2, 4, 3, 8).astype("float32")
    order = np.random.RandomState(1).permutation(12)
    mixed = x.reshape(2, 12, 8)[:, order].reshape(2, 6, 2, 8)
    expected = layer(x).numpy().reshape(2, 12, 8)[:, order]
    np.testing.assert_allclose(layer(mixed).numpy().reshape(2, 12, 8), expected, atol=1e-5)


def test_config_rebuilds_the_layer_and_flat_input_is_refused():
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(built()))
    assert again.get_config() == built().get_config()
    assert again.compute_output_shape((None, 3, 2, 8)) == (None, 3, 2, 8)
    with pytest.raises(ValueError, match=r"input shape \(None, 8\); expected"):
        ChannelSelfAttention().build((None, 8))
