import numpy as np
import pytest
import tensorflow as tf

from mmgl_tf.losses.identification.triplet import batch_hard_triplet
from tests.mmgl_tf.losses.golden_batches import (
    TINY,
    drawn_batch,
    numeric_gradient,
    slow_distances,
    with_gradient,
)


def slow_triplet(features, identities, margin=0.3, form="hinge"):
    """One anchor at a time: mean loss, share of right anchors."""
    distances, terms, right = slow_distances(features), [], []
    for i, own in enumerate(identities):
        positive = [distances[i, j] for j, other in enumerate(identities) if other == own]
        negative = [distances[i, j] for j, other in enumerate(identities) if other != own]
        if negative:
            apart = max(positive) - min(negative)
            terms.append(max(0.0, apart + margin) if form == "hinge" else np.log1p(np.exp(apart)))
            right.append(max(positive) < min(negative))
    return (np.mean(terms), np.mean(right)) if terms else (0.0, 0.0)


@pytest.mark.parametrize(
    ("scale", "seed", "value", "norm", "first"),
    [
        (1.0, 0, 2.1484284, 0.530504, -0.0226725),
        (0.25, 1, 0.8450466, 0.532304, None),
        (3.0, 2, 6.7772641, 0.588237, None),
    ],
)
def test_golden_numbers_of_the_reference(scale, seed, value, norm, first):
    features, identities = drawn_batch(scale, seed)
    loss, share, gradient = with_gradient(lambda x: batch_hard_triplet(x, identities), features)
    assert loss == pytest.approx(value, rel=3e-7)
    assert share == 0.0
    assert np.linalg.norm(gradient) == pytest.approx(norm, abs=6e-7)
    if first is not None:
        assert gradient[0, 0] == pytest.approx(first, abs=6e-8)
    assert loss.dtype == share.dtype == gradient.dtype == "float32"


def test_tiny_batch_by_hand():
    # Anchors: 1 - 2, 1 - 2, sqrt 13 - 2, sqrt 13 - 2, each plus 0.3 and at least 0.
    loss, share = batch_hard_triplet(*TINY)
    assert loss.numpy() == pytest.approx(0.9527756, abs=1e-7)
    assert loss.numpy() == pytest.approx((2 * 0 + 2 * (np.sqrt(13) - 2 + 0.3)) / 4, abs=1e-6)
    assert share.numpy() == 0.5


@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize("margin", [0.0, 0.3, 4.0])
def test_uneven_batches_follow_the_slow_version(margin, jit):
    triplet = tf.function(
        lambda x, y: batch_hard_triplet(x, y, margin), jit_compile=jit, reduce_retracing=True, autograph=False
    )
    for seed in range(5):
        random = np.random.RandomState(seed)
        features, identities = random.randn(11, 3), random.randint(0, 5, 11)  # some identities alone
        features += 1.5 * identities[:, None]
        loss, share = triplet(tf.constant(features), tf.constant(identities))
        assert (loss.numpy(), share.numpy()) == pytest.approx(
            slow_triplet(features, identities, margin), rel=1e-6
        )
        assert 0 < share.numpy() < 1
        assert loss.dtype == tf.float64


def test_gradient_is_that_of_the_slow_version():
    features, identities = drawn_batch(0.5, 4)
    features = features[:, :4].astype("float64") + 0.4 * identities[:, None]  # some hinges are at rest
    _, _, gradient = with_gradient(lambda x: batch_hard_triplet(x, identities), features)
    expected = numeric_gradient(lambda x: slow_triplet(x, identities)[0], features)
    np.testing.assert_allclose(gradient, expected, atol=1e-7)


def test_order_and_names_of_identities_do_not_matter():
    features, identities = drawn_batch(1.0, 6)
    features = features + identities[:, None]
    order = np.random.RandomState(0).permutation(16)
    loss, share = batch_hard_triplet(features, identities)
    again, share_again = batch_hard_triplet(features[order], 1000 - 7 * identities[order])
    assert again.numpy() == pytest.approx(loss.numpy(), rel=1e-6)
    assert share_again.numpy() == share.numpy() > 0


def test_a_collapsed_batch_costs_the_margin_and_is_not_right():
    identities = np.repeat(np.arange(4), 4)
    loss, share, gradient = with_gradient(
        lambda x: batch_hard_triplet(x, identities), np.full((16, 8), 3.0, "float32")
    )
    assert loss == pytest.approx(0.3)
    assert share == 0.0
    np.testing.assert_array_equal(gradient, np.zeros((16, 8)))


def test_equal_images_leave_the_gradient_finite():
    features, identities = drawn_batch(1.0, 0)
    features[8:] = features[:8]  # the sampler draws with replacement: the same image twice
    loss, _, gradient = with_gradient(lambda x: batch_hard_triplet(x, identities), features)
    assert loss == pytest.approx(slow_triplet(features, identities)[0], rel=1e-6)
    assert np.isfinite(gradient).all()
    assert np.abs(gradient).max() > 0


def test_far_apart_identities_cost_nothing():
    features, identities = drawn_batch(0.01, 0)
    loss, share = batch_hard_triplet(features + 10 * identities[:, None].astype("float32"), identities)
    assert (loss.numpy(), share.numpy()) == (0.0, 1.0)


def test_anchors_without_a_negative_are_left_out():
    features = drawn_batch(1.0, 0)[0]
    loss, share, gradient = with_gradient(lambda x: batch_hard_triplet(x, np.zeros(16, "int32")), features)
    assert (loss, share) == (0.0, 0.0)
    np.testing.assert_array_equal(gradient, np.zeros((16, 16)))


def test_bfloat16_features_are_raised_first():
    features, identities = drawn_batch(1.0, 0)
    rounded = tf.cast(features, tf.bfloat16)
    loss, share = batch_hard_triplet(rounded, identities)
    assert loss.dtype == share.dtype == tf.float32
    expected = slow_triplet(tf.cast(rounded, tf.float64).numpy(), identities)[0]
    assert loss.numpy() == pytest.approx(expected, rel=1e-6)


def test_a_negative_margin_says_what_was_expected():
    with pytest.raises(ValueError, match=r"margin=-0\.1; expected at least 0"):
        batch_hard_triplet(*TINY, margin=-0.1)


@pytest.mark.parametrize("scale", [0.3, 1.0, 3.0])
def test_the_soft_form_and_its_gradient_follow_the_slow_version(scale):
    features, identities = drawn_batch(scale, 3)
    features = features[:, :4].astype("float64")
    loss, share, gradient = with_gradient(lambda x: batch_hard_triplet(x, identities, form="soft"), features)
    expected, right = slow_triplet(features, identities, form="soft")
    assert (loss, share) == (pytest.approx(expected, rel=1e-5), pytest.approx(right))

    def value(x):
        return slow_triplet(x, identities, form="soft")[0]

    np.testing.assert_allclose(gradient, numeric_gradient(value, features), atol=1e-7)


def test_features_that_are_one_point_have_no_gradient_in_either_form():
    features = np.ones((8, 4), "float32")
    identities = np.repeat(np.arange(2), 4)
    for form, value in (("hinge", 0.3), ("soft", np.log(2.0))):
        loss, _, gradient = with_gradient(
            lambda x, form=form: batch_hard_triplet(x, identities, form=form), features
        )
        assert loss == pytest.approx(value) and not gradient.any()


def test_another_form_is_refused():
    with pytest.raises(ValueError, match="form='smooth'; expected one of hinge, soft"):
        batch_hard_triplet(*TINY, form="smooth")
