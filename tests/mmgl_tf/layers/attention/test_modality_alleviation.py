import keras
import numpy as np
import pytest
import tensorflow as tf

from mmgl_tf.layers.attention.modality_alleviation import ModalityAlleviation, instance_norm
from tests.mmgl_tf.golden_waves import waves
from tests.mmgl_tf.layers.slow_layers import assert_layer_follows, values_of


def built(channels=32, **kwargs):
    layer = ModalityAlleviation(**{"name": "mam", **kwargs})
    layer.build((None, None, None, channels))
    return layer


def slow_mam(values, x):
    found = np.zeros_like(x)
    for b, image in enumerate(x):
        inner = np.maximum(image.mean(axis=(0, 1)) @ values["squeeze"], 0) @ values["excite"]
        share = 1 / (1 + np.exp(-inner))
        for c in range(image.shape[-1]):
            channel = image[..., c]
            plain = (channel - channel.mean()) / np.sqrt(channel.var() + 1e-5)
            found[b, ..., c] = share[c] * channel + (1 - share[c]) * plain
    return found


def test_golden_numbers_of_the_reference():
    layer = built()
    i, j = np.indices((2, 32))
    layer.squeeze.assign(np.cos(0.3 * (32 * i + j)).T)
    i, j = np.indices((32, 2))
    layer.excite.assign(np.sin(0.2 * (2 * i + j)).T)
    x = waves(2, 768, 0).reshape(2, 32, 6, 4).transpose(0, 2, 3, 1)
    found = layer(x).numpy().transpose(0, 3, 1, 2)
    assert found.sum() == pytest.approx(40.94025, abs=2e-5)
    np.testing.assert_allclose(found[0, 0, 0], [-0.141276, 0.300531, 0.682541, 0.953051], atol=1e-6)


def test_values_and_gradients_follow_the_slow_version():
    x = np.random.RandomState(0).randn(2, 3, 2, 4) + 0.5
    assert_layer_follows(lambda: built(4, reduction=2), lambda layer, x: layer(x), slow_mam, x)


def test_instance_norm_takes_an_images_style_away():
    x = np.random.RandomState(1).randn(2, 4, 3, 5)
    plain = instance_norm(tf.constant(x)).numpy()
    np.testing.assert_allclose(plain.mean(axis=(1, 2)), 0.0, atol=1e-12)
    np.testing.assert_allclose(plain.std(axis=(1, 2)), 1.0, atol=1e-3)
    np.testing.assert_allclose(instance_norm(tf.constant(1000 * x + 40)), plain, atol=1e-3)
    np.testing.assert_array_equal(instance_norm(tf.fill([1, 2, 2, 3], 7.0)), np.zeros((1, 2, 2, 3)))


def test_images_do_not_meet_and_there_are_no_statistics():
    layer, x = built(), np.random.RandomState(0).randn(3, 4, 2, 32).astype("float32")
    np.testing.assert_allclose(layer(x)[1:2], layer(x[1:2]), atol=1e-6)
    assert not layer.non_trainable_variables


def test_initial_values_and_published_counts():
    layer = built(1024)
    assert layer.squeeze.numpy().std() == pytest.approx(np.sqrt(2 / 64), rel=0.02)
    assert layer.excite.numpy().std() == pytest.approx(np.sqrt(2 / 1024), rel=0.02)
    counts = [sum(v.shape.num_elements() for v in built(c).variables) for c in (1024, 2048)]
    assert counts == [131_072, 524_288]
    assert not np.array_equal(built(name="a").squeeze, built(name="b").squeeze)
    np.testing.assert_array_equal(built(place="x").squeeze, built(place="x", name="b").squeeze)


@pytest.mark.parametrize("kind", ["bfloat16", "float16"])
def test_mixing_is_float32_under_mixed_precision(kind):
    layer = built(dtype=f"mixed_{kind}")
    x = tf.cast(10 + np.random.RandomState(0).rand(2, 24, 8, 32), kind)
    found = layer(x)
    assert found.dtype == x.dtype
    expected = slow_mam(values_of(layer), tf.cast(x, "float64").numpy())
    np.testing.assert_allclose(tf.cast(found, "float64"), expected, rtol=0.01, atol=0.01)
    assert {v.dtype for v in layer.variables} == {"float32"}


def test_config_rebuilds_the_layer_and_bad_channels_say_what_was_expected():
    layer = built(reduction=8, place="x", seed=3)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert again.get_config() == layer.get_config()
    assert layer.compute_output_shape((None, 3, 2, 32)) == (None, 3, 2, 32)
    with pytest.raises(ValueError, match=r"reduction=16; expected .* that reduction divides"):
        built(24)
