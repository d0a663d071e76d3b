import numpy as np
import pytest
import tensorflow as tf

from mmgl_tf.losses.identification.centre_contrast import centre_contrast
from tests.mmgl_tf.losses.view_pairs import assert_follows, with_gradients


def slow_centres(features, identities, modalities):
    """{(identity, modality): unit centre}."""
    found = {}
    for k in sorted(set(identities)):
        for m in (0, 1):
            rows = features[(identities == k) & (modalities == m)]
            if len(rows):
                centre = rows.mean(axis=0)
                found[k, m] = centre / np.linalg.norm(centre)
    return found


def slow_contrast(features, identities, modalities, temperature=0.1):
    """(loss, share of centres found)."""
    centres = slow_centres(features, identities, modalities)
    anchors = [k for k in sorted(set(identities)) if (k, 0) in centres and (k, 1) in centres]
    losses, right = [], []
    for m in (0, 1):
        others = [k for k in sorted(set(identities)) if (k, 1 - m) in centres]
        for k in anchors:
            scores = {j: centres[k, m] @ centres[j, 1 - m] / temperature for j in others}
            losses.append(np.log(sum(np.exp(s) for s in scores.values())) - scores[k])
            right.append(all(scores[k] > s for j, s in scores.items() if j != k))
    return np.mean(losses), np.mean(right)


def drawn(complete, seed=0):
    random = np.random.RandomState(seed)
    identities, modalities = np.repeat(np.arange(4), 4), np.tile([0, 0, 1, 1], 4)
    features = random.randn(16, 6) + random.randn(4, 6)[identities]
    if not complete:  # uneven, and identity 3 in one modality alone
        kept = np.array([0, 2, 3, 4, 5, 6, 8, 9, 11, 12, 13])
        features, identities, modalities = features[kept], identities[kept], modalities[kept]
    order = random.permutation(len(identities))
    return features[order], identities[order], modalities[order]


@pytest.mark.parametrize("complete", [True, False])
@pytest.mark.parametrize("temperature", [0.1, 1.0])
def test_values_and_gradients_follow_the_slow_version(complete, temperature):
    features, *batch = drawn(complete)
    loss, share = centre_contrast(features, *batch, temperature)
    expected, right = slow_contrast(features, *batch, temperature)
    assert loss.numpy() == pytest.approx(expected, rel=1e-9)
    assert share.numpy() == pytest.approx(right, rel=1e-6)
    assert_follows(
        lambda x: centre_contrast(x, *batch, temperature),
        lambda x: slow_contrast(x, *batch, temperature)[0],
        features,
    )


def test_names_and_exchanged_modalities_do_not_matter():
    features, identities, modalities = drawn(True, 3)
    first = [v.numpy() for v in centre_contrast(features, identities, modalities)]
    again = [v.numpy() for v in centre_contrast(5 * features, 70 - 9 * identities, 1 - modalities)]
    assert again == pytest.approx(first, rel=1e-6)


def test_perfect_and_collapsed_batches():
    identities, modalities = np.repeat(np.arange(4), 4), np.tile([0, 1], 8)
    loss, share = centre_contrast(np.eye(4, dtype="float32")[identities], identities, modalities)
    assert loss.numpy() == pytest.approx(np.log(1 + 3 * np.exp(-10)), rel=1e-2)
    assert share.numpy() == 1.0
    for value in (0.0, 2.0):
        (loss, share), (gradient,) = with_gradients(
            lambda x: centre_contrast(x, identities, modalities), np.full((16, 4), value, "float32")
        )
        assert loss == pytest.approx(np.log(4), rel=1e-6)
        assert share == 0.0
        assert np.isfinite(gradient).all()


def test_a_batch_without_pairs_costs_nothing():
    (loss, share), (gradient,) = with_gradients(
        lambda x: centre_contrast(x, np.arange(4), np.array([0, 0, 1, 1])), np.eye(4, dtype="float32")
    )
    assert (loss, share) == (0.0, 0.0)
    np.testing.assert_array_equal(gradient, np.zeros((4, 4)))


def test_half_precision_is_raised_and_a_temperature_of_0_refused():
    features, *batch = drawn(True)
    assert centre_contrast(tf.cast(features, tf.float16), *batch)[0].dtype == tf.float32
    with pytest.raises(ValueError, match=r"temperature=0\.0; expected a positive one"):
        centre_contrast(features, *batch, 0.0)
