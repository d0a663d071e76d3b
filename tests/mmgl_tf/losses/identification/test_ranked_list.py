import numpy as np
import pytest
import tensorflow as tf

from mmgl_tf.losses.identification.ranked_list import ranked_list
from tests.mmgl_tf.golden_waves import FEATURES, IDENTITIES, MODALITY_CODES
from tests.mmgl_tf.losses.golden_batches import slow_distances
from tests.mmgl_tf.losses.view_pairs import assert_follows, with_gradients


def slow_ranked_list(x, identities, modalities, margins=(0.9, 1.0), boundaries=(2.2, 2.0), normalise=True):
    x = np.float64(x)
    if normalise:
        x = x / np.linalg.norm(x, axis=1, keepdims=True)
    distances, total = slow_distances(x), 0.0
    for i in range(len(x)):
        for cross, m, a in zip((False, True), margins, boundaries, strict=True):
            members = [j for j in range(len(x)) if (modalities[j] != modalities[i]) == cross]
            others = [j for j in members if identities[j] == identities[i] and j != i]
            total += sum(max(0.0, distances[i, j] + m - a) for j in others) / (len(others) + 1e-5)
            near = [j for j in members if identities[j] != identities[i] and distances[i, j] < a]
            weights = [np.exp(a - distances[i, j]) for j in near]
            pushes = sum(w * (a - distances[i, j]) for w, j in zip(weights, near, strict=True))
            total += pushes / (sum(weights) + 1e-5)
    return total / len(x)


BATCH = (IDENTITIES, MODALITY_CODES)


@pytest.mark.parametrize(
    ("options", "value"),
    [
        ({}, 1.825038),
        ({"normalise": False}, 2.718821),
        ({"boundaries": (1.0, 0.8)}, 1.8521),
    ],
)
def test_golden_numbers_of_the_reference(options, value):
    assert ranked_list(FEATURES, *BATCH, **options)[0].numpy() == pytest.approx(value, abs=6e-7)


@pytest.mark.parametrize(
    "options", [{}, {"boundaries": (1.0, 0.8)}, {"normalise": False}, {"margins": (0.2, 0.6)}]
)
def test_values_and_gradients_follow_the_slow_version(options):
    random = np.random.RandomState(2)
    identities, modalities = random.randint(0, 3, 9), random.randint(0, 2, 9)
    features = random.randn(9, 5) + 0.4 * identities[:, None]
    assert_follows(
        lambda x: ranked_list(x, identities, modalities, **options),
        lambda x: slow_ranked_list(x, identities, modalities, **options),
        features,
    )


def test_length_does_not_matter_and_neither_do_order_and_names():
    order = np.random.RandomState(0).permutation(12)
    first = [v.numpy() for v in ranked_list(FEATURES, *BATCH)]
    again = ranked_list(7 * FEATURES[order], 90 - 4 * IDENTITIES[order], 3 - MODALITY_CODES[order])
    assert [v.numpy() for v in again] == pytest.approx(first, rel=1e-6)


def test_an_anchor_is_no_positive_of_its_own():
    # Alone in its modality, at tight margins: what remains of the positives is the cross pair.
    features = np.array([(1.0, 0.0), (0.0, 1.0)])
    loss, share = ranked_list(features, np.array([0, 0]), np.array([0, 1]), boundaries=(1.0, 1.5))
    assert loss.numpy() == pytest.approx(np.sqrt(2) + 1.0 - 1.5, rel=2e-5)
    assert share.numpy() == 0.0  # nobody has a negative


def test_margins_are_those_of_the_modality():
    features = np.array([(1.0, 0.0), (0.0, 1.0)])
    near = ranked_list(features, np.array([0, 0]), np.array([0, 0]))[0].numpy()
    far = ranked_list(features, np.array([0, 0]), np.array([0, 1]))[0].numpy()
    assert near == pytest.approx(np.sqrt(2) - 1.3, rel=1e-4)
    assert far == pytest.approx(np.sqrt(2) - 1.0, rel=1e-4)


def test_order_of_an_anchor_by_hand():
    angles = np.array([0.0, 0.2, 1.0, 1.1, 2.0])
    features = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    *_, share = ranked_list(features, np.array([0, 0, 1, 2, 1]), np.array([0, 1, 0, 1, 1]))
    assert share.numpy() == 0.5  # both of 0, none of 1; 2 is alone


@pytest.mark.parametrize("value", [0.0, 3.0])
def test_a_collapsed_batch_leaves_the_gradient_finite(value):
    (loss, share), (gradient,) = with_gradients(
        lambda x: ranked_list(x, *BATCH), np.full((12, 4), value, "float32")
    )
    # Every negative is at the full boundary, no positive beyond its own.
    assert loss == pytest.approx(2.2 + 2.0, rel=1e-4)
    assert share == 0.0
    assert np.isfinite(gradient).all()


def test_half_precision_is_raised():
    found = ranked_list(tf.cast(FEATURES, tf.bfloat16), *BATCH)
    assert {v.dtype for v in found} == {tf.float32}
    assert found[0].numpy() == pytest.approx(1.825, abs=0.02)


def test_bad_arguments_say_what_was_expected():
    with pytest.raises(ValueError, match=r"margins=\(-1, 1\).*expected margins of at least 0"):
        ranked_list(FEATURES, *BATCH, margins=(-1, 1))
