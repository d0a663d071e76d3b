import numpy as np
import pytest
import tensorflow as tf

from mmgl_tf.losses.identification.crossed_teacher import crossed_teacher_divergence, teacher_rate
from tests.mmgl_tf.golden_waves import LOGITS, OTHER_LOGITS
from tests.mmgl_tf.losses.view_pairs import assert_follows, with_gradients


def slow_divergence(logits, teacher_logits):
    total = 0.0
    for z, r in zip(np.float64(logits), np.float64(teacher_logits), strict=True):
        p, q = np.exp(z) / np.exp(z).sum(), np.exp(r) / np.exp(r).sum()
        total += sum(a * np.log(a / b) for a, b in zip(p, q, strict=True))
    return total / len(logits)


def test_golden_number_of_the_reference():
    assert crossed_teacher_divergence(LOGITS, OTHER_LOGITS).numpy() == pytest.approx(0.126495, abs=5e-7)


def test_value_and_gradient_follow_the_slow_version():
    assert_follows(
        lambda z: crossed_teacher_divergence(z, OTHER_LOGITS),
        lambda z: slow_divergence(z, OTHER_LOGITS),
        LOGITS.astype("float64"),
    )


def test_the_gradient_flows_through_the_first_distribution_alone():
    _, (own, teacher) = with_gradients(crossed_teacher_divergence, LOGITS, OTHER_LOGITS)
    assert np.abs(own).max() > 1e-3
    np.testing.assert_array_equal(teacher, np.zeros_like(teacher))


def test_equal_distributions_cost_nothing_and_offsets_do_not_matter():
    assert crossed_teacher_divergence(LOGITS, LOGITS + 7).numpy() == pytest.approx(0.0, abs=1e-6)


def test_extreme_logits_stay_finite_and_half_precision_is_raised():
    value, gradients = with_gradients(crossed_teacher_divergence, 1e4 * LOGITS, -1e4 * OTHER_LOGITS)
    assert np.isfinite(value)
    assert np.isfinite(gradients[0]).all()
    assert crossed_teacher_divergence(tf.cast(LOGITS, tf.float16), OTHER_LOGITS).dtype == tf.float32
    assert crossed_teacher_divergence(np.float64(LOGITS), np.float64(OTHER_LOGITS)).dtype == tf.float64


def test_the_rate_is_that_of_the_reference():
    epochs = (1, 99, 100, 120, 140)
    expected = [0.2, 0.2, 0.19802, 0.165289, 0.141844]
    np.testing.assert_allclose(teacher_rate(tf.constant(epochs)), expected, atol=5e-7)
