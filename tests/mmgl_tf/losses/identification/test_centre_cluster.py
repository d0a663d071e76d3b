import numpy as np
import pytest
import tensorflow as tf

from mmgl_tf.losses.identification.centre_cluster import centre_cluster
from tests.mmgl_tf.golden_waves import FEATURES, IDENTITIES
from tests.mmgl_tf.losses.view_pairs import assert_follows, with_gradients


def slow_parts(features, identities, margin=0.7):
    """As the released code has it, identity by identity: pull, push, share of right images."""
    centres = {k: features[identities == k].mean(axis=0) for k in sorted(set(identities))}

    def distance(a, b):
        return max(np.linalg.norm(a - b), 1e-6)

    pull = np.mean([distance(x, centres[k]) for x, k in zip(features, identities, strict=True)])
    push = []
    for k, centre in centres.items():
        rows = [max(0.0, margin - distance(centre, centres[j])) for j in identities if j != k]
        push.append(np.mean(rows) if rows else 0.0)
    right = [
        len(centres) > 1
        and distance(x, centres[k]) < min(distance(x, c) for j, c in centres.items() if j != k)
        for x, k in zip(features, identities, strict=True)
    ]
    return pull, np.mean(push), np.mean(right)


@pytest.mark.parametrize(
    ("margin", "loss", "pull", "push"), [(0.7, 1.39266, 1.39266, 0.0), (5.0, 2.292989, 1.39266, 0.900329)]
)
def test_golden_numbers_of_the_reference(margin, loss, pull, push):
    found = [v.numpy() for v in centre_cluster(FEATURES, IDENTITIES, margin)]
    assert found[:3] == pytest.approx([loss, pull, push], abs=6e-7)


@pytest.mark.parametrize("balanced", [True, False])
@pytest.mark.parametrize("margin", [0.7, 3.0])
def test_values_and_gradients_follow_the_slow_version(balanced, margin):
    random = np.random.RandomState(1)
    identities = np.repeat(np.arange(3), 3) if balanced else np.array([4, 4, 4, 4, 1, 1, 7, 7, 7])
    identities = identities[random.permutation(9)]
    features = random.randn(9, 4) + 0.5 * identities[:, None]
    found = [v.numpy() for v in centre_cluster(features, identities, margin)]
    pull, push, right = slow_parts(features, identities, margin)
    assert found == pytest.approx([pull + push, pull, push, right], rel=1e-6)
    assert_follows(
        lambda x: centre_cluster(x, identities, margin),
        lambda x: sum(slow_parts(x, identities, margin)[:2]),
        features,
    )


def test_a_balanced_push_is_the_mean_over_ordered_pairs_of_identities():
    centres = np.array([(0, 0), (3, 0), (0, 4)], "float64")
    features = np.repeat(centres, 2, axis=0)
    push = centre_cluster(features, np.repeat(np.arange(3), 2), 6.0)[2].numpy()
    assert push == pytest.approx(np.mean([6 - 3, 6 - 4, 6 - 5]), rel=1e-9)


def test_an_identity_weighs_as_often_as_it_is_met():
    # Identity 1 is met three times: to the first identity its gap counts thrice.
    features = np.array([(0, 0), (3, 0), (3, 0), (3, 0), (0, 4)], "float64")
    push = centre_cluster(features, np.array([0, 1, 1, 1, 2]), 6.0)[2].numpy()
    assert push == pytest.approx(np.mean([(3 * 3 + 2) / 4, (3 + 1) / 2, (2 + 3 * 1) / 4]), rel=1e-9)


def test_order_and_names_do_not_matter():
    order = np.random.RandomState(0).permutation(12)
    first = [v.numpy() for v in centre_cluster(FEATURES, IDENTITIES, 5.0)]
    again = [v.numpy() for v in centre_cluster(FEATURES[order], 50 - 3 * IDENTITIES[order], 5.0)]
    assert again == pytest.approx(first, rel=1e-6)


@pytest.mark.parametrize("identities", [np.arange(4), np.zeros(4, "int32"), np.array([0, 0, 1, 1])])
def test_collapsed_and_single_images_leave_the_gradient_finite(identities):
    loss, (gradient,) = with_gradients(
        lambda x: centre_cluster(x, identities), np.full((4, 3), 2.0, "float32")
    )
    assert np.isfinite(loss).all()
    assert np.isfinite(gradient).all()
    assert loss[0] == pytest.approx(0.7 if len(set(identities)) > 1 else 0.0, abs=1e-5)
    assert loss[3] == 0.0


def test_right_images_are_those_nearer_to_their_own_centre():
    features = np.array([[0.0], [1.0], [10.0], [0.4]])
    *_, right = centre_cluster(features, np.array([0, 0, 1, 1]))
    assert right.numpy() == 0.75  # centres 0.5 and 5.2: the last is nearer to the first


def test_half_precision_is_raised():
    found = centre_cluster(tf.cast(100 * FEATURES, tf.float16), IDENTITIES)
    assert {v.dtype for v in found} == {tf.float32}
    assert found[0].numpy() == pytest.approx(139.266, rel=1e-3)


def test_a_margin_of_0_says_what_was_expected():
    with pytest.raises(ValueError, match=r"margin=0\.0; expected a positive number"):
        centre_cluster(FEATURES, IDENTITIES, 0.0)
