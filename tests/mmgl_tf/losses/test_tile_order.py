import numpy as np
import pytest
import tensorflow as tf

from mmgl_tf.losses.tile_order import order_found, tile_order_loss


def slow_loss(scores, order):
    """(loss, gradient with respect to the scores), one image at a time, float64."""
    scores = np.asarray(scores, np.float64)
    loss, gradient = 0.0, np.zeros_like(scores)
    for image, truth in enumerate(order):
        powers = np.exp(scores[image] - scores[image].max())
        odds = powers / powers.sum()
        loss -= np.log(odds[truth]) / len(order)
        gradient[image] = odds / len(order)
        gradient[image, truth] -= 1 / len(order)
    return loss, gradient


def drawn(images=6, orders=7):
    dice = np.random.default_rng(0)
    return (3 * dice.standard_normal((images, orders))).astype(np.float32), dice.integers(0, orders, images)


def test_loss_and_gradient_follow_the_slow_version():
    scores, order = drawn()
    watched = tf.Variable(scores)
    with tf.GradientTape() as tape:
        loss = tile_order_loss(watched, order.astype(np.int32))
    expected, slope = slow_loss(scores, order)
    assert loss.dtype == tf.float32 and loss.shape == ()
    assert float(loss) == pytest.approx(expected, rel=1e-5)
    np.testing.assert_allclose(tape.gradient(loss, watched), slope, rtol=1e-5, atol=1e-7)


def test_a_network_that_knows_nothing_loses_the_logarithm_of_the_orders():
    assert float(tile_order_loss(np.zeros((5, 64), np.float32), np.arange(5))) == pytest.approx(np.log(64))


def test_half_precision_is_raised():
    scores, order = drawn()
    assert tile_order_loss(tf.cast(scores, tf.bfloat16), order).dtype == tf.float32
    assert tile_order_loss(scores.astype(np.float64), order).dtype == tf.float64


def test_an_order_is_found_where_it_has_the_highest_score():
    scores = np.array([[0.0, 2.0, 1.0], [3.0, 2.0, 1.0], [-3.0, -2.0, -1.0]], np.float32)
    found = order_found(scores, np.array([1, 1, 2]))
    assert found.dtype == tf.float32
    np.testing.assert_array_equal(found, [1.0, 0.0, 1.0])
