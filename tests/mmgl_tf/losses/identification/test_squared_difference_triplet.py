import numpy as np
import pytest
import tensorflow as tf

from mmgl_tf.losses.identification.squared_difference_triplet import squared_difference_triplet
from tests.mmgl_tf.losses.golden_batches import (
    TINY,
    drawn_batch,
    numeric_gradient,
    slow_distances,
    with_gradient,
)


def slow_gaps(features, identities, alpha, form):
    """a - b of each anchor."""
    gaps = []
    for row, own in zip(slow_distances(features), identities, strict=True):
        positive = row[identities == own]
        negative = row[identities != own]
        more, shift = (1e-6, 0.0) if form == "reference" else (0.0, -alpha * negative.min())
        far, near = np.exp(alpha * (positive - positive.max())), np.exp(-alpha * negative - shift)
        gaps.append(far @ positive / (far.sum() + more) - near @ negative / (near.sum() + more))
    return np.array(gaps)


def slow_loss(features, identities, alpha=1.0, gamma=1.0, square=True, form="reference", clamp=88.0):
    terms = []
    for gap in slow_gaps(features, identities, alpha, form):
        squared = min(gamma * gap**2, np.inf if clamp is None else clamp)
        margin = (np.sign(gap) * squared) if square else gamma * gap
        terms.append(np.log1p(np.exp(margin)))
    return np.mean(terms)


SQUARE, PLAIN = (1.0, 1.0, True), (2.0, 0.5, False)


@pytest.mark.parametrize(
    ("scale", "seed", "options", "value", "right", "norm"),
    [
        (1.0, 0, SQUARE, 1.3178145, 3, 0.752530),
        (0.25, 1, SQUARE, 0.6868184, 7, 0.037956),
        (3.0, 2, SQUARE, 73.7118073, 0, 5.186288),
        (1.0, 0, PLAIN, 1.0824068, 0, 0.186332),
        (0.25, 1, PLAIN, 0.7251190, 4, 0.088265),
        (3.0, 2, PLAIN, 10.1515102, 0, 0.267364),
    ],
)
def test_golden_numbers_of_the_reference(scale, seed, options, value, right, norm):
    # The reference's float32 distances, an image's to itself above all, leave five millionths.
    features, identities = drawn_batch(scale, seed)
    loss, share, gradient = with_gradient(
        lambda x: squared_difference_triplet(x, identities, *options)[:2], features
    )
    assert loss == pytest.approx(value, rel=5e-6)
    assert share == right / 16
    assert np.linalg.norm(gradient) == pytest.approx(norm, abs=2e-6)
    if scale == 1.0:
        assert gradient[0, 0] == pytest.approx(-0.0211412 if options == SQUARE else -0.0067029, abs=6e-7)
    assert loss.dtype == share.dtype == gradient.dtype == "float32"


def test_golden_numbers_of_a_batch_of_three_parts_and_of_the_tiny_one():
    features = np.random.RandomState(5).randn(24, 16).astype("float32")
    identities = np.tile(np.repeat(np.arange(4), 2), 3)
    loss, _, gradient = with_gradient(lambda x: squared_difference_triplet(x, identities)[:2], features)
    assert loss == pytest.approx(1.7114615, rel=5e-6)
    assert np.linalg.norm(gradient) == pytest.approx(0.712441, abs=2e-6)
    assert squared_difference_triplet(*TINY)[0].numpy() == pytest.approx(1.0181140, rel=3e-7)


@pytest.mark.parametrize("form", ["reference", "stable"])
@pytest.mark.parametrize("options", [SQUARE, PLAIN, (0.0, 0.3, True)])
def test_values_and_gradients_follow_the_slow_version(options, form):
    random = np.random.RandomState(4)
    identities = random.randint(0, 4, 11)
    features = 0.7 * random.randn(11, 6) + 0.3 * identities[:, None]
    loss, share, gradient = with_gradient(
        lambda x: squared_difference_triplet(x, identities, *options, form)[:2], features
    )
    assert loss == pytest.approx(slow_loss(features, identities, *options, form), rel=1e-9)
    assert share == np.float32(np.mean(slow_gaps(features, identities, options[0], form) < 0))
    expected = numeric_gradient(lambda x: slow_loss(x, identities, *options, form), features)
    np.testing.assert_allclose(gradient, expected, atol=1e-8)
    assert np.abs(expected).max() > 1e-3


def test_clamped_anchors_are_counted_and_do_not_learn():
    features, identities = drawn_batch(3.0, 2)
    gaps = slow_gaps(features, identities, 1.0, "reference")
    clamped = squared_difference_triplet(features, identities)[2]
    assert clamped.numpy() == np.mean(gaps**2 > 88) == 0.625
    assert clamped.dtype == tf.float32
    far, identities = drawn_batch(30.0, 2)
    loss, _, gradient = with_gradient(lambda x: squared_difference_triplet(x, identities)[:2], far)
    assert squared_difference_triplet(far, identities)[2].numpy() == 1.0
    assert loss == pytest.approx(88.0)
    np.testing.assert_array_equal(gradient, np.zeros((16, 16)))
    loss, _, gradient = with_gradient(
        lambda x: squared_difference_triplet(x, identities, clamp=None)[:2], far
    )
    assert loss > 1000
    assert np.isfinite(gradient).all()
    assert np.abs(gradient).max() > 1


def test_without_square_nothing_is_clamped():
    assert squared_difference_triplet(*drawn_batch(30.0, 2), square=False)[2].numpy() == 0.0


def test_a_collapsed_batch_costs_ln_2_and_is_not_right():
    loss, share, gradient = with_gradient(
        lambda x: squared_difference_triplet(x, np.repeat(np.arange(4), 4))[:2],
        np.full((16, 8), 3.0, "float32"),
    )
    assert loss == pytest.approx(np.log(2), rel=1e-5)
    assert share == 0.0
    np.testing.assert_array_equal(gradient, np.zeros((16, 8)))


def test_order_and_names_of_identities_do_not_matter():
    features, identities = drawn_batch(1.0, 6)
    order = np.random.RandomState(0).permutation(16)
    first = [v.numpy() for v in squared_difference_triplet(features, identities)]
    again = [v.numpy() for v in squared_difference_triplet(features[order], 1000 - 7 * identities[order])]
    assert again == pytest.approx(first, rel=1e-6)


def test_a_batch_of_one_identity():
    features = drawn_batch(1.0, 0)[0]
    same = np.zeros(16, "int32")
    loss, share, gradient = with_gradient(
        lambda x: squared_difference_triplet(x, same, form="stable")[:2], features
    )
    assert (loss, share) == (0.0, 0.0)
    np.testing.assert_array_equal(gradient, np.zeros((16, 16)))


def test_half_precision_is_raised_first():
    features, identities = drawn_batch(1.0, 0)
    rounded = tf.cast(features, tf.bfloat16)
    found = squared_difference_triplet(rounded, identities)
    assert {v.dtype for v in found} == {tf.float32}
    expected = slow_loss(tf.cast(rounded, tf.float64).numpy(), identities)
    assert found[0].numpy() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("wrong", [{"alpha": -1.0}, {"gamma": 0.0}, {"clamp": 0.0}])
def test_bad_arguments_say_what_was_expected(wrong):
    name, value = next(iter(wrong.items()))
    with pytest.raises(ValueError, match=f"{name}={value}.*CAJ has 1, 1, 88"):
        squared_difference_triplet(*TINY, **wrong)
    with pytest.raises(ValueError, match="form='soft'; expected one of reference, stable"):
        squared_difference_triplet(*TINY, form="soft")
