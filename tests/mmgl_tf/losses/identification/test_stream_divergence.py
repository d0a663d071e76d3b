import numpy as np
import pytest
import tensorflow as tf

from mmgl_tf.losses.identification.stream_divergence import stream_divergence
from tests.mmgl_tf.losses.view_pairs import assert_follows, with_gradients


def slow_divergence(logits, target_logits, temperature=3.0):
    total = 0.0
    for z, r in zip(np.float64(logits), np.float64(target_logits), strict=True):
        target = np.exp(r / temperature) / np.exp(r / temperature).sum() + 1e-7
        predicted = np.exp(z / temperature) / np.exp(z / temperature).sum()
        total += sum(t * (np.log(t) - np.log(p)) for t, p in zip(target, predicted, strict=True))
    return temperature**2 * total / len(logits)


def drawn():
    random = np.random.RandomState(3)
    return [(2 * random.randn(5, 7)).astype("float32") for _ in range(2)]


def test_golden_number_of_the_reference():
    assert stream_divergence(*drawn()).numpy() == pytest.approx(4.6829300, rel=3e-7)


@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_values_and_gradients_follow_the_slow_version(temperature):
    logits, target = drawn()
    assert_follows(
        lambda z: stream_divergence(z, target, temperature),
        lambda z: slow_divergence(z, target, temperature),
        logits.astype("float64"),
    )


def test_the_target_gets_no_gradient():
    _, (own, target) = with_gradients(stream_divergence, *drawn())
    assert np.abs(own).max() > 0.01
    np.testing.assert_array_equal(target, np.zeros_like(target))


def test_equal_streams_cost_nearly_nothing_and_offsets_do_not_matter():
    logits, target = drawn()
    assert stream_divergence(logits, logits).numpy() == pytest.approx(0.0, abs=1e-5)
    moved = stream_divergence(logits + 5, target - 3).numpy()
    assert moved == pytest.approx(stream_divergence(logits, target).numpy(), rel=1e-5)


def test_extreme_logits_stay_finite_and_half_precision_is_raised():
    logits, target = drawn()
    value, gradients = with_gradients(stream_divergence, 1e4 * logits, 1e4 * target)
    assert np.isfinite(value)
    assert np.isfinite(gradients[0]).all()
    assert stream_divergence(tf.cast(logits, tf.float16), target).dtype == tf.float32
    assert stream_divergence(logits.astype("float64"), target.astype("float64")).dtype == tf.float64


def test_a_temperature_of_0_says_what_was_expected():
    with pytest.raises(ValueError, match=r"temperature=0\.0; expected a positive one"):
        stream_divergence(*drawn(), temperature=0.0)
