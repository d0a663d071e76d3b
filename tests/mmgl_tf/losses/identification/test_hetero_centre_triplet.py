import numpy as np
import pytest
import tensorflow as tf

from mmgl_tf.losses.identification.hetero_centre_triplet import hetero_centre_triplet
from tests.mmgl_tf.losses.identification.test_centre_contrast import drawn
from tests.mmgl_tf.losses.view_pairs import assert_follows, with_gradients


def slow_triplet(features, identities, modalities, margin=0.3, normalise=True):
    """(loss, share of right anchors)."""
    centres = {}
    for k in sorted(set(identities)):
        for m in (0, 1):
            rows = features[(identities == k) & (modalities == m)]
            if len(rows):
                centre = rows.mean(axis=0)
                centres[k, m] = centre / np.linalg.norm(centre) if normalise else centre
    anchors = [k for k in sorted(set(identities)) if (k, 0) in centres and (k, 1) in centres]
    total, right = 0.0, []
    for k in anchors:
        partner = np.linalg.norm(centres[k, 0] - centres[k, 1])
        for m in (0, 1):
            others = [np.linalg.norm(centres[k, m] - c) for (j, _), c in centres.items() if j != k]
            total += max(0.0, margin + partner - min(others))
            right.append(partner < min(others))
    return total / len(anchors), np.mean(right)


@pytest.mark.parametrize("complete", [True, False])
@pytest.mark.parametrize("normalise", [True, False])
@pytest.mark.parametrize("margin", [0.0, 0.3])
def test_values_and_gradients_follow_the_slow_version(complete, normalise, margin):
    features, *batch = drawn(complete, 1)
    loss, share = hetero_centre_triplet(features, *batch, margin, normalise)
    expected, right = slow_triplet(features, *batch, margin, normalise)
    assert loss.numpy() == pytest.approx(expected, rel=1e-9)
    assert expected > 0
    assert share.numpy() == pytest.approx(right, rel=1e-6)
    assert_follows(
        lambda x: hetero_centre_triplet(x, *batch, margin, normalise),
        lambda x: slow_triplet(x, *batch, margin, normalise)[0],
        features,
    )


def test_names_and_exchanged_modalities_do_not_matter():
    features, identities, modalities = drawn(True, 3)
    first = [v.numpy() for v in hetero_centre_triplet(features, identities, modalities)]
    again = [v.numpy() for v in hetero_centre_triplet(5 * features, 70 - 9 * identities, 1 - modalities)]
    assert again == pytest.approx(first, rel=1e-6)


def test_perfect_and_collapsed_batches():
    identities, modalities = np.repeat(np.arange(4), 4), np.tile([0, 1], 8)
    perfect = hetero_centre_triplet(np.eye(4, dtype="float32")[identities], identities, modalities)
    assert [v.numpy() for v in perfect] == [0.0, 1.0]
    for value in (0.0, 2.0):
        (loss, share), (gradient,) = with_gradients(
            lambda x: hetero_centre_triplet(x, identities, modalities), np.full((16, 4), value, "float32")
        )
        assert loss == pytest.approx(2 * 0.3, rel=1e-6)
        assert share == 0.0
        np.testing.assert_allclose(gradient, 0.0, atol=1e-9)


def test_batches_without_pairs_or_without_negatives_cost_nothing():
    for identities in (np.arange(4), np.zeros(4, "int32")):
        (loss, share), (gradient,) = with_gradients(
            lambda x, y=identities: hetero_centre_triplet(x, y, np.array([0, 0, 1, 1])),
            np.eye(4, dtype="float32"),
        )
        assert (loss, share) == (0.0, 0.0)
        np.testing.assert_array_equal(gradient, np.zeros((4, 4)))


def test_half_precision_is_raised_and_a_negative_margin_refused():
    features, *batch = drawn(True)
    assert hetero_centre_triplet(tf.cast(features, tf.float16), *batch)[0].dtype == tf.float32
    with pytest.raises(ValueError, match=r"margin=-0\.1; expected at least 0"):
        hetero_centre_triplet(features, *batch, -0.1)
