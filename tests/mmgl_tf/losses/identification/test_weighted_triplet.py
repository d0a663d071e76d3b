import numpy as np
import pytest
import tensorflow as tf

from mmgl_tf.losses.identification.weighted_triplet import FORMS, weighted_triplet
from tests.mmgl_tf.losses.golden_batches import (
    TINY,
    drawn_batch,
    numeric_gradient,
    slow_distances,
    with_gradient,
)


def slow_sides(features, identities, form):
    """Weighted positive and negative distance and the negative weights' sum, one anchor at a time."""
    distances, sides = slow_distances(features), []
    for row, own in zip(distances, identities, strict=True):
        positive = np.array([d for d, other in zip(row, identities, strict=True) if other == own])
        negative = np.array([d for d, other in zip(row, identities, strict=True) if other != own])
        more, shift = (1e-6, 0.0) if form == "reference" else (0.0, -negative.min())
        near, far = np.exp(-negative - shift), np.exp(positive - positive.max())
        near, far = near / (near.sum() + more), far / (far.sum() + more)
        sides.append((far @ positive, near @ negative, near.sum()))
    return np.array(sides).T


def slow_loss(features, identities, form="reference"):
    a, b, _ = slow_sides(features, identities, form)
    return np.mean(np.log1p(np.exp(a - b)))


@pytest.mark.parametrize(
    ("scale", "seed", "value", "right", "norm", "first"),
    [
        (1.0, 0, 1.1500376, 3, 0.302088, -0.0207928),
        (0.25, 1, 0.6780661, 7, 0.135019, None),
        (3.0, 2, 11.4747086, 0, 0.951408, None),
    ],
)
def test_golden_numbers_of_the_reference(scale, seed, value, right, norm, first):
    # The reference's float32 distances, an image's to itself above all, leave three millionths.
    features, identities = drawn_batch(scale, seed)
    loss, share, gradient = with_gradient(lambda x: weighted_triplet(x, identities), features)
    assert loss == pytest.approx(value, rel=3e-6)
    assert share == right / 16
    assert np.linalg.norm(gradient) == pytest.approx(norm, abs=2e-6)
    if first is not None:
        assert gradient[0, 0] == pytest.approx(first, abs=2e-7)
    assert loss.dtype == share.dtype == gradient.dtype == "float32"


def test_tiny_batch():
    loss, share = weighted_triplet(*TINY)
    assert loss.numpy() == pytest.approx(0.8851935, rel=1e-7)
    assert share.numpy() == 0.5


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("scale", [0.2, 1.0, 3.0, 8.0])
@pytest.mark.parametrize("jit", [False, True])
def test_uneven_batches_follow_the_slow_version(form, scale, jit):
    loss_of = tf.function(lambda x, y: weighted_triplet(x, y, form), jit_compile=jit, autograph=False)
    for seed in range(2):
        random = np.random.RandomState(seed)
        features, identities = scale * random.randn(11, 9), random.randint(0, 5, 11)
        features += 0.5 * scale * identities[:, None]
        loss, share = loss_of(tf.constant(features), tf.constant(identities))
        a, b, _ = slow_sides(features, identities, form)
        assert loss.numpy() == pytest.approx(np.mean(np.log1p(np.exp(a - b))), rel=1e-10)
        assert share.numpy() == np.float32(np.mean(a < b))
        assert loss.dtype == tf.float64


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("scale", [0.3, 2.0])
def test_gradient_flows_through_the_weights(form, scale):
    features, identities = drawn_batch(scale, 4)
    features = features[:, :6].astype("float64")
    _, _, gradient = with_gradient(lambda x: weighted_triplet(x, identities, form), features)
    expected = numeric_gradient(lambda x: slow_loss(x, identities, form), features)
    np.testing.assert_allclose(gradient, expected, atol=1e-8)


def test_forms_agree_while_distances_are_small():
    features, identities = drawn_batch(0.3, 3)
    reference, stable = (weighted_triplet(features, identities, form)[0].numpy() for form in FORMS)
    assert stable == pytest.approx(reference, rel=1e-5)


def test_the_references_negative_weights_vanish_at_large_distances():
    sums, sides = [], []
    for scale in (1.0, 2.0, 3.0, 4.0, 6.0):
        features, identities = drawn_batch(scale, 0)
        distances = slow_distances(features)
        assert distances[identities[:, None] != identities].mean() == pytest.approx(5.6 * scale, rel=0.02)
        _, b, weights = slow_sides(features, identities, "reference")
        sums.append(weights.mean())
        sides.append(b.mean())
    assert sums == pytest.approx([1.000, 0.996, 0.71, 0.19, 0.010], abs=0.06)
    assert sides[4] < sides[3] < sides[2]


def pushed_apart(distance, form):
    """Loss of two pairs, each 1 wide, a distance from one another."""
    features = np.array([(0, 0), (0, 1), (distance, 0), (distance, 1)], "float32")
    return weighted_triplet(features, np.array([0, 0, 1, 1]), form)[0].numpy()


def test_pushing_negatives_apart_helps_in_the_stable_form_only():
    assert pushed_apart(4.0, "reference") < pushed_apart(2.0, "reference")
    assert pushed_apart(40.0, "reference") > pushed_apart(12.0, "reference")
    losses = [pushed_apart(distance, "stable") for distance in (2.0, 4.0, 12.0, 40.0)]
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < 1e-12


@pytest.mark.parametrize("form", FORMS)
def test_order_and_names_of_identities_do_not_matter(form):
    features, identities = drawn_batch(1.0, 6)
    features = features + identities[:, None]
    order = np.random.RandomState(0).permutation(16)
    loss, share = weighted_triplet(features, identities, form)
    again, share_again = weighted_triplet(features[order], 1000 - 7 * identities[order], form)
    assert again.numpy() == pytest.approx(loss.numpy(), rel=1e-6)
    assert share_again.numpy() == share.numpy() > 0


@pytest.mark.parametrize("form", FORMS)
def test_equal_images_leave_the_gradient_finite(form):
    features, identities = drawn_batch(1.0, 0)
    features[8:] = features[:8]  # the sampler draws with replacement: the same image twice
    loss, _, gradient = with_gradient(lambda x: weighted_triplet(x, identities, form), features)
    assert loss == pytest.approx(slow_loss(features, identities, form), rel=1e-6)
    assert np.isfinite(gradient).all()
    assert np.abs(gradient).max() > 0


@pytest.mark.parametrize("form", FORMS)
def test_a_collapsed_batch_costs_ln_2_and_is_not_right(form):
    loss, share, gradient = with_gradient(
        lambda x: weighted_triplet(x, np.repeat(np.arange(4), 4), form), np.full((16, 8), 3.0, "float32")
    )
    assert loss == pytest.approx(np.log(2), rel=1e-5)
    assert share == 0.0
    np.testing.assert_array_equal(gradient, np.zeros((16, 8)))


@pytest.mark.parametrize("form", FORMS)
def test_extreme_distances_stay_finite(form):
    features, identities = drawn_batch(1000.0, 0)
    loss, _, gradient = with_gradient(lambda x: weighted_triplet(x, identities, form), features)
    assert np.isfinite(loss)
    assert np.isfinite(gradient).all()


def test_anchors_without_a_negative():
    features = drawn_batch(1.0, 0)[0]
    same = np.zeros(16, "int32")
    loss, share, gradient = with_gradient(lambda x: weighted_triplet(x, same, "stable"), features)
    assert (loss, share) == (0.0, 0.0)
    np.testing.assert_array_equal(gradient, np.zeros((16, 16)))
    loss, share, _ = with_gradient(lambda x: weighted_triplet(x, same, "reference"), features)
    assert loss == pytest.approx(slow_loss(features, same), rel=1e-6)  # b = 0
    assert share == 0.0


def test_bfloat16_features_are_raised_first():
    features, identities = drawn_batch(1.0, 0)
    rounded = tf.cast(features, tf.bfloat16)
    loss, share = weighted_triplet(rounded, identities)
    assert loss.dtype == share.dtype == tf.float32
    expected = slow_loss(tf.cast(rounded, tf.float64).numpy(), identities)
    assert loss.numpy() == pytest.approx(expected, rel=1e-6)


def test_an_unknown_form_says_what_was_expected():
    with pytest.raises(ValueError, match="form='soft'; expected one of reference, stable"):
        weighted_triplet(*TINY, form="soft")
