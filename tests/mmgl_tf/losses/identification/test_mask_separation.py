import numpy as np
import pytest
import tensorflow as tf

from mmgl_tf.losses.identification.mask_separation import mask_separation
from tests.mmgl_tf.losses.view_pairs import assert_follows


def slow_separation(masks):
    values = []
    for image in masks:
        count, total = image.shape[-1], 0.0
        for p in range(count):
            for q in range(p + 1, count):
                total += (image[..., p] * image[..., q]).sum()
        values.append(total / (count * (count - 1) / 2))
    return np.array(values)


@pytest.mark.parametrize("shape", [(3, 4, 2, 6), (2, 3, 3, 2)])
def test_values_and_gradients_follow_the_slow_version(shape):
    masks = np.random.RandomState(0).rand(*shape)
    np.testing.assert_allclose(mask_separation(masks), slow_separation(masks), rtol=1e-12)
    assert_follows(lambda m: tf.reduce_mean(mask_separation(m)), lambda m: slow_separation(m).mean(), masks)


def test_a_network_that_knows_nothing_costs_a_quarter_of_the_places():
    # 48 at 24 x 8, the spec's figure.
    np.testing.assert_allclose(mask_separation(np.full((2, 24, 8, 6), 0.5, "float32")), [48, 48])


def test_masks_that_share_no_place_cost_nothing_and_equal_ones_their_length():
    masks = np.zeros((1, 2, 3, 6), "float32")
    masks.reshape(6, 6)[range(6), range(6)] = 1
    np.testing.assert_array_equal(mask_separation(masks), [0])
    np.testing.assert_allclose(mask_separation(np.ones((1, 2, 3, 6), "float32")), [6], rtol=1e-6)


def test_the_order_of_masks_does_not_matter_and_small_overlaps_are_not_lost():
    masks = np.random.RandomState(1).rand(2, 3, 2, 6).astype("float32")
    np.testing.assert_allclose(mask_separation(masks[..., ::-1]), mask_separation(masks), rtol=1e-6)
    tiny = np.full((1, 1, 1, 2), 1e-12, "float32")
    tiny[..., 0] = 1
    np.testing.assert_allclose(mask_separation(tiny), [1e-12], rtol=1e-6)


def test_half_precision_is_raised():
    assert mask_separation(tf.ones([1, 24, 8, 6], tf.float16)).dtype == tf.float32


def test_one_mask_says_what_was_expected():
    with pytest.raises(ValueError, match=r"shape \(1, 2, 3, 1\); expected \[B, H, W, P\] with P"):
        mask_separation(np.ones((1, 2, 3, 1), "float32"))
