import numpy as np
import pytest
import tensorflow as tf

from mmgl_tf.losses.identification.variational_distillation import FORMS, variational_distillation
from tests.mmgl_tf.golden_waves import LOGITS, OTHER_LOGITS
from tests.mmgl_tf.losses.view_pairs import assert_follows, with_gradients


def slow_loss(observed, represented, form):
    total, (n, classes) = 0.0, observed.shape
    for r, z in zip(np.float64(observed), np.float64(represented), strict=True):
        s, t = np.exp(r) / np.exp(r).sum(), np.exp(z) / np.exp(z).sum()
        for k in range(classes):
            if form == "released":
                total += t[k] * (np.log(t[k]) - s[k]) / classes
            else:
                total += s[k] * (np.log(s[k]) - np.log(t[k]))
    return total / n


def test_golden_numbers_of_the_reference():
    released = variational_distillation(LOGITS, OTHER_LOGITS)
    assert released.numpy() == pytest.approx(-0.333065, abs=5e-7)
    proper = variational_distillation(LOGITS, OTHER_LOGITS, "proper")
    assert proper.numpy() == pytest.approx(0.126495, abs=5e-7)


@pytest.mark.parametrize("form", FORMS)
def test_values_and_gradients_follow_the_slow_version(form):
    assert_follows(
        lambda z: variational_distillation(LOGITS, z, form),
        lambda z: slow_loss(LOGITS, z, form),
        OTHER_LOGITS.astype("float64"),
    )


@pytest.mark.parametrize("form", FORMS)
def test_the_observation_is_the_teacher(form):
    _, (teacher, student) = with_gradients(
        lambda r, z: variational_distillation(r, z, form), LOGITS, OTHER_LOGITS
    )
    np.testing.assert_array_equal(teacher, np.zeros_like(teacher))
    assert np.abs(student).max() > 1e-4


def test_the_released_form_is_negative_within_its_bounds_and_hardly_pushes():
    random = np.random.RandomState(0)
    observed, represented = (random.randn(8, 395).astype("float32") for _ in range(2))
    norms = {}
    for form in FORMS:
        value, (gradient,) = with_gradients(
            lambda z, form=form: variational_distillation(observed, z, form), represented
        )
        norms[form] = np.linalg.norm(gradient)
        if form == "released":
            assert -(np.log(395) + 1) / 395 <= value < 0
    assert norms["proper"] > 100 * norms["released"]


def test_a_faithful_representation_costs_nothing_in_the_proper_form_alone():
    proper, (gradient,) = with_gradients(lambda z: variational_distillation(LOGITS, z, "proper"), LOGITS)
    assert proper == pytest.approx(0.0, abs=1e-6)
    np.testing.assert_allclose(gradient, 0.0, atol=1e-7)
    _, (gradient,) = with_gradients(lambda z: variational_distillation(LOGITS, z), LOGITS)
    assert np.abs(gradient).max() > 1e-3


@pytest.mark.parametrize("form", FORMS)
def test_extreme_logits_stay_finite_and_half_precision_is_raised(form):
    value, (gradient,) = with_gradients(
        lambda z: variational_distillation(1e4 * LOGITS, z, form), 1e4 * OTHER_LOGITS
    )
    assert np.isfinite(value)
    assert np.isfinite(gradient).all()
    assert variational_distillation(tf.cast(LOGITS, tf.float16), LOGITS, form).dtype == tf.float32


def test_an_unknown_form_says_what_was_expected():
    with pytest.raises(ValueError, match="form='paper'; expected one of released, proper"):
        variational_distillation(LOGITS, LOGITS, "paper")
