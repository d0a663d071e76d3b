import numpy as np
import pytest
import tensorflow as tf

from mmgl_tf.layers.dropout import dropout
from mmgl_tf.layers.seeded_uniform import seeded_uniform

SEED = tf.constant([3, 4])


def test_dropped_values_are_0_and_the_others_make_up_for_them():
    x = np.random.RandomState(0).rand(300, 400) + 1
    found = dropout(tf.constant(x), 0.2, SEED).numpy()
    kept = found != 0
    assert kept.mean() == pytest.approx(0.8, abs=0.005)
    np.testing.assert_allclose(found[kept], x[kept] / 0.8, rtol=1e-12)
    assert found.mean() == pytest.approx(x.mean(), rel=0.01)
    np.testing.assert_array_equal(kept, seeded_uniform((300, 400), SEED).numpy() >= 0.2)


def test_the_gradient_is_the_mask():
    x = tf.Variable(tf.ones([5, 8]))
    with tf.GradientTape() as tape:
        found = dropout(x, 0.5, SEED)
    np.testing.assert_array_equal(tape.gradient(found, x), found)


def test_the_mask_is_the_seeds_and_an_images_own():
    x = tf.ones([4, 50], tf.bfloat16)
    np.testing.assert_array_equal(dropout(x, 0.5, SEED), dropout(x, 0.5, SEED))
    assert dropout(x, 0.5, SEED).dtype == tf.bfloat16
    assert (dropout(x, 0.5, SEED) != dropout(x, 0.5, SEED + 1)).numpy().any()
    seeds = tf.constant([[1, i] for i in range(4)])
    np.testing.assert_array_equal(dropout(x, 0.5, seeds)[2:], dropout(x[2:], 0.5, seeds[2:]))


def test_rate_0_draws_nothing():
    x = tf.ones([2, 3])
    assert dropout(x, 0.0, None) is x


def test_bad_arguments_say_what_was_expected():
    with pytest.raises(ValueError, match=r"rate=1\.0; expected a share in \[0, 1\)"):
        dropout(tf.ones([2]), 1.0, SEED)
    with pytest.raises(ValueError, match=r"seed=None; expected int32 \[2\]"):
        dropout(tf.ones([2]), 0.5, None)
