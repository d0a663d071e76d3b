import numpy as np
import pytest
import tensorflow as tf

from mmgl_tf.losses.identification.identity import identity_accuracy, identity_loss


def slow_loss(logits, labels):
    """One image at a time, float64."""
    terms = []
    for row, label in zip(np.asarray(logits, "float64"), labels, strict=True):
        powers = np.exp(row - row.max())
        terms.append(-np.log(powers[label] / powers.sum()))
    return np.mean(terms)


def drawn(scale=2.0):
    random = np.random.RandomState(0)
    return (scale * random.randn(6, 5)).astype("float32"), random.randint(0, 5, 6)


@pytest.mark.parametrize("label_type", ["int32", "int64"])
def test_loss_follows_the_slow_version(label_type):
    logits, labels = drawn()
    loss = identity_loss(logits, labels.astype(label_type))
    assert loss.numpy() == pytest.approx(slow_loss(logits, labels), rel=1e-6)
    assert loss.dtype == tf.float32
    assert loss.shape == ()


def test_chance_is_the_logarithm_of_the_classes():
    assert identity_loss(np.zeros((4, 395), "float32"), np.arange(4)).numpy() == pytest.approx(5.9788857)


def test_certainty_costs_nothing_so_labels_are_not_smoothed():
    labels = np.array([2, 0, 1])
    logits = 50 * np.eye(3, dtype="float32")[labels]
    assert identity_loss(logits, labels).numpy() == 0.0
    assert identity_loss(logits, (labels + 1) % 3).numpy() == pytest.approx(50.0)


def test_extreme_logits_stay_finite():
    logits = tf.Variable([[3e38, -3e38], [-1e4, 1e4]])
    with tf.GradientTape() as tape:
        loss = identity_loss(logits, np.array([0, 0]))
    assert loss.numpy() == pytest.approx(1e4)
    assert np.isfinite(tape.gradient(loss, logits)).all()


def test_half_precision_is_raised_and_double_stays():
    logits, labels = drawn()
    half = tf.cast(logits, tf.bfloat16)
    assert identity_loss(half, labels).dtype == tf.float32
    assert identity_loss(half, labels).numpy() == pytest.approx(
        slow_loss(tf.cast(half, tf.float64), labels), rel=1e-6
    )
    double = identity_loss(logits.astype("float64"), labels)
    assert double.dtype == tf.float64
    assert double.numpy() == pytest.approx(slow_loss(logits, labels), rel=1e-12)


@pytest.mark.parametrize("label_type", ["int32", "int64"])
def test_accuracy_counts_the_likeliest_class(label_type):
    logits, _ = drawn()
    labels = logits.argmax(axis=1).astype(label_type)
    labels[[1, 4]] = (labels[[1, 4]] + 1) % 5
    accuracy = identity_accuracy(logits, labels)
    assert accuracy.numpy() == pytest.approx(4 / 6)
    assert accuracy.dtype == tf.float32
    assert accuracy.shape == ()
