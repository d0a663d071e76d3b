import numpy as np
import pytest
import tensorflow as tf

from mmgl_tf.losses.identification.identity import identity_loss
from mmgl_tf.losses.identification.label_smoothing import smoothed_identity_loss
from tests.mmgl_tf.golden_waves import IDENTITIES, LOGITS
from tests.mmgl_tf.losses.view_pairs import assert_follows, with_gradients


def slow_loss(logits, labels, smoothing=0.1):
    total = 0.0
    for z, label in zip(np.float64(logits), labels, strict=True):
        log_likely = z - np.log(np.exp(z).sum())
        for k in range(len(z)):
            total -= ((1 - smoothing) * (k == label) + smoothing / len(z)) * log_likely[k]
    return total / len(logits)


def test_golden_number_of_the_reference():
    assert smoothed_identity_loss(LOGITS, IDENTITIES).numpy() == pytest.approx(1.870992, abs=1e-6)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.7])
def test_values_and_gradients_follow_the_slow_version(smoothing):
    assert_follows(
        lambda z: smoothed_identity_loss(z, IDENTITIES, smoothing),
        lambda z: slow_loss(z, IDENTITIES, smoothing),
        LOGITS.astype("float64"),
    )


def test_without_smoothing_it_is_cross_entropy_and_flat_logits_cost_chance():
    plain = identity_loss(LOGITS, IDENTITIES).numpy()
    assert smoothed_identity_loss(LOGITS, IDENTITIES, 0.0).numpy() == pytest.approx(plain, rel=1e-6)
    flat = smoothed_identity_loss(np.zeros((3, 395), "float32"), np.arange(3)).numpy()
    assert flat == pytest.approx(np.log(395), rel=1e-6)


def test_the_least_value_is_the_targets_entropy_and_certainty_costs():
    target = np.full(395, 0.1 / 395)
    target[7] += 0.9
    least = smoothed_identity_loss(np.log(target)[None].astype("float32"), [7]).numpy()
    assert least == pytest.approx(-(target * np.log(target)).sum(), rel=1e-5)
    assert least == pytest.approx(0.92, abs=0.005)
    sure = np.zeros((1, 395), "float32")
    sure[0, 7] = 50
    assert smoothed_identity_loss(sure, [7]).numpy() > 4


def test_extreme_logits_stay_finite_and_half_precision_is_raised():
    value, (gradient,) = with_gradients(lambda z: smoothed_identity_loss(z, IDENTITIES), 1e4 * LOGITS)
    assert np.isfinite(value)
    assert np.isfinite(gradient).all()
    assert smoothed_identity_loss(tf.cast(LOGITS, tf.float16), IDENTITIES).dtype == tf.float32


def test_smoothing_of_1_says_what_was_expected():
    with pytest.raises(ValueError, match=r"smoothing=1\.0; expected a share in \[0, 1\)"):
        smoothed_identity_loss(LOGITS, IDENTITIES, 1.0)
