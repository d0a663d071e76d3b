import keras
import numpy as np
import pytest
import tensorflow as tf

from mmgl_tf.layers.heads.pattern_head import PatternHead
from tests.mmgl_tf.layers.slow_layers import assert_layer_follows, largest_tensor


def built(patterns=3, channels=4, **kwargs):
    head = PatternHead(patterns, **kwargs)
    head.build((None, None, None, channels))
    return head


def slow_head(values, x):
    """[features | flattened masks] of each image."""
    rows = []
    for image in x:
        masks = 1 / (1 + np.exp(-(image @ values["masks/kernel"] + values["masks/bias"])))
        under = [(masks[..., p : p + 1] * image).mean(axis=(0, 1)) for p in range(masks.shape[-1])]
        rows.append(np.concatenate([*under, image.mean(axis=(0, 1)), masks.ravel()]))
    return np.array(rows)


def call(head, x):
    features, masks = head(x)
    return tf.concat([features, tf.reshape(masks, [x.shape[0], -1])], axis=1)


def test_values_and_gradients_follow_the_slow_version():
    assert_layer_follows(built, call, slow_head, np.random.RandomState(0).randn(2, 3, 2, 4))


def test_shapes_and_published_sizes():
    head = built(6, 2048)
    features, masks = head(np.ones((2, 24, 8, 2048), "float32"))
    assert features.shape == (2, 14_336)
    assert masks.shape == (2, 24, 8, 6)
    assert sum(v.shape.num_elements() for v in head.variables) == 12_294
    shapes = head.compute_output_shape((None, 24, 8, 2048))
    assert shapes == ((None, 14_336), (None, 24, 8, 6))


def test_initial_values():
    head = built(6, 2048)
    limit = 1 / np.sqrt(2048)
    assert 0.99 * limit < np.abs(head.masks.kernel.numpy()).max() <= limit
    np.testing.assert_array_equal(head.masks.bias, np.zeros(6))


def test_open_and_closed_masks():
    head, x = built(), np.random.RandomState(0).randn(2, 3, 2, 4).astype("float32")
    head.masks.kernel.assign(np.zeros((4, 3)))
    head.masks.bias.assign([100.0, -100.0, 0.0])
    features, masks = head(x)
    mean = x.mean(axis=(1, 2))
    np.testing.assert_allclose(features, np.concatenate([mean, 0 * mean, mean / 2, mean], axis=1), atol=1e-6)
    np.testing.assert_allclose(masks[0, 0, 0], [1, 0, 0.5])


def test_no_mask_is_spread_over_channels():
    head = built(6, 64)
    assert largest_tensor(head, tf.TensorSpec([2, 24, 8, 64])) == 2 * 24 * 8 * 64


def test_it_is_float32_under_mixed_precision_and_config_rebuilds_it():
    keras.mixed_precision.set_global_policy("mixed_float16")
    head = built(place="x", seed=2)
    assert {v.dtype for v in head(tf.ones([1, 3, 2, 4], tf.float16))} == {tf.float32}
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(head))
    assert again.get_config() == head.get_config()
    with pytest.raises(ValueError, match="patterns=0; expected an integer of at least 1"):
        PatternHead(0)
