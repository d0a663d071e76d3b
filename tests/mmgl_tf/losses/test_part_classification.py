import numpy as np
import pytest
import tensorflow as tf

from mmgl_tf.losses.part_classification import part_accuracy, part_loss


@pytest.fixture
def random():
    return np.random.default_rng(6)


def orders(random, count, size):
    return random.permuted(np.tile(np.arange(size, dtype=np.int32), (count, 1)), axis=1)


def test_loss_equals_the_mean_over_stripes_written_out(random):
    logits, permutation = 2.0 * random.normal(size=(4, 5, 5)), orders(random, 4, 5)
    terms = []
    for b in range(4):
        for n in range(5):
            exponentials = np.exp(logits[b, n])
            terms.append(-np.log(exponentials[permutation[b, n]] / exponentials.sum()))
    np.testing.assert_allclose(part_loss(logits, permutation), np.mean(terms), rtol=1e-12)


def test_limits(random):
    permutation = orders(random, 8, 6)
    np.testing.assert_allclose(part_loss(np.zeros((8, 6, 6)), permutation), np.log(6.0), rtol=1e-12)
    assert part_loss(50.0 * np.eye(6)[permutation], permutation) < 1e-6
    extreme = tf.constant(1e30 * random.normal(size=(8, 6, 6)), tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(extreme)
        loss = part_loss(extreme, permutation)
    assert np.isfinite(loss)
    assert np.isfinite(tape.gradient(loss, extreme)).all()


def test_gradient_against_central_differences(random):
    permutation = orders(random, 2, 4)
    theoretical, numerical = tf.test.compute_gradient(
        lambda logits: part_loss(logits, permutation), [random.normal(size=(2, 4, 4))], delta=1e-5
    )
    np.testing.assert_allclose(theoretical[0], numerical[0], atol=1e-6)


def test_order_of_images_does_not_matter(random):
    logits, permutation = random.normal(size=(5, 6, 6)), orders(random, 5, 6)
    images = random.permutation(5)
    np.testing.assert_allclose(
        part_loss(logits[images], permutation[images]), part_loss(logits, permutation), rtol=1e-12
    )


def test_accuracy_is_per_image(random):
    permutation = np.array([[2, 0, 1], [0, 1, 2], [1, 0, 2]], np.int64)
    believed = np.array([[2, 0, 1], [1, 1, 2], [0, 1, 1]])
    logits = np.eye(3, dtype=np.float32)[believed] + 0.1 * random.uniform(size=(3, 3, 3)).astype(np.float32)
    accuracy = part_accuracy(logits, permutation)
    assert accuracy.dtype == tf.float32
    np.testing.assert_allclose(accuracy, [1.0, 2 / 3, 0.0], rtol=1e-6)
