import numpy as np
import pytest
import tensorflow as tf

from mmgl_tf.layers.stripe_pooling import StripePooling


@pytest.mark.parametrize("num_stripes", [2, 3, 6])
def test_each_stripe_is_the_mean_of_its_rows(num_stripes):
    feature_map = np.random.default_rng(0).normal(size=(2, 6, 3, 4)).astype(np.float32)
    stripes = StripePooling(num_stripes)(feature_map).numpy()
    assert stripes.shape == (2, num_stripes, 4)
    height = 6 // num_stripes
    for b in range(2):
        for n in range(num_stripes):
            vectors = [feature_map[b, n * height + i, j] for i in range(height) for j in range(3)]
            np.testing.assert_allclose(stripes[b, n], np.mean(vectors, axis=0), atol=1e-6)


def test_stripes_together_have_the_mean_of_the_map():
    feature_map = np.random.default_rng(1).normal(size=(2, 18, 9, 8)).astype(np.float32)
    np.testing.assert_allclose(
        StripePooling(6)(feature_map).numpy().mean(axis=1), feature_map.mean(axis=(1, 2)), atol=1e-6
    )


def test_rows_that_do_not_divide_are_refused_with_the_numbers_that_do():
    with pytest.raises(ValueError, match=r"4 stripes.*18 rows.*\[2, 3, 6, 9, 18\]"):
        StripePooling(4)(np.zeros((1, 18, 9, 2), np.float32))
    with pytest.raises(ValueError, match="fixed image height"):
        StripePooling(6).build((None, None, 9, 2))


def test_float32_from_a_half_precision_feature_map_of_unknown_batch_size():
    pooling = StripePooling(2, dtype="mixed_bfloat16")
    graph = tf.function(
        pooling, input_signature=[tf.TensorSpec([None, 4, 64, 1], tf.bfloat16)], autograph=False
    )
    feature_map = np.ones((3, 4, 64, 1), np.float32)
    feature_map[:, 0, 0] = 129.0
    stripes = graph(tf.cast(feature_map, tf.bfloat16))
    assert stripes.dtype == tf.float32
    np.testing.assert_allclose(stripes[:, :, 0], np.tile([2.0, 1.0], (3, 1)), atol=1e-6)


def test_config_round_trip():
    copy = StripePooling.from_config(StripePooling(3, name="bands").get_config())
    assert (copy.num_stripes, copy.name) == (3, "bands")
