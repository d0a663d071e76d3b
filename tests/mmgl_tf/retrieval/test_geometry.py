import tracemalloc

import numpy as np
import pytest

from mmgl_tf.retrieval import geometry as module
from mmgl_tf.retrieval.geometry import geometry, modality_gap


@pytest.fixture
def random():
    return np.random.default_rng(7)


def unit(vectors):
    vectors = np.asarray(vectors, np.float64)
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def slow_geometry(visible, infrared, visible_identities, infrared_identities):
    """One image, one pair at a time, as the definitions read."""
    visible, infrared = unit(visible), unit(infrared)
    everyone = [*zip(visible, visible_identities, strict=True)]
    everyone += zip(infrared, infrared_identities, strict=True)
    people = sorted({identity for _, identity in everyone})
    centroids = {k: np.mean([vector for vector, i in everyone if i == k], axis=0) for k in people}
    within = [np.linalg.norm(vector - centroids[identity]) for vector, identity in everyone]
    between = [np.linalg.norm(centroids[a] - centroids[b]) for a in people for b in people if a < b]
    pairs = {True: [], False: []}
    for one, its in zip(visible, visible_identities, strict=True):
        for other, others in zip(infrared, infrared_identities, strict=True):
            pairs[bool(its == others)].append(one @ other)
    difference = np.mean(pairs[True]) - np.mean(pairs[False])
    return {
        "compactness": np.mean(within) / np.mean(between),
        "positive_similarity": np.mean(pairs[True]),
        "negative_similarity": np.mean(pairs[False]),
        "d_prime": difference / np.sqrt((np.var(pairs[True]) + np.var(pairs[False])) / 2),
    }


def test_modality_gap(random):
    visible, infrared = random.normal(size=(40, 5)), random.normal(size=(30, 5)) + 0.7
    means = [unit(part).mean(axis=0) for part in (visible, infrared)]
    spreads = [
        np.sqrt(np.mean([np.sum((vector - mean) ** 2) for vector in unit(part)]))
        for part, mean in zip((visible, infrared), means, strict=True)
    ]
    expected = np.linalg.norm(means[0] - means[1]) / np.mean(spreads)
    np.testing.assert_allclose(modality_gap(visible, infrared), expected, rtol=1e-12)
    np.testing.assert_allclose(modality_gap(visible, 3.0 * visible), 0.0, atol=1e-12)
    points = np.tile([1.0, 0.0], (4, 1)), np.tile([0.0, 1.0], (4, 1))
    assert modality_gap(*points) == np.inf
    assert modality_gap(points[0], points[0]) == 0.0


@pytest.mark.parametrize("block_pairs", [1, 100, 1 << 22])
def test_geometry_equals_the_slow_loop(random, monkeypatch, block_pairs):
    monkeypatch.setattr(module, "BLOCK_PAIRS", block_pairs)
    # Identity 9 is visible only, 4 infrared only; in no order; one person has a single image.
    identities = np.array([3, 1, 1, 9, 3, 3, 7, 1, 9]), np.array([7, 3, 4, 1, 1, 3, 4])
    visible, infrared = random.normal(size=(9, 6)) + 0.5, random.normal(size=(7, 6)).astype(np.float32)
    result = geometry(visible, infrared, *identities)
    assert list(result) == [
        "modality_gap", "compactness", "positive_similarity", "negative_similarity", "d_prime"
    ]  # fmt: skip
    assert all(type(value) is float for value in result.values())
    assert result["modality_gap"] == pytest.approx(modality_gap(visible, infrared), rel=1e-12)
    for name, value in slow_geometry(visible, infrared, *identities).items():
        assert result[name] == pytest.approx(value, rel=1e-9), name


def test_the_length_and_the_order_of_embeddings_do_not_matter(random):
    identities = random.integers(0, 4, 20)
    visible, infrared = random.normal(size=(20, 5)), random.normal(size=(20, 5))
    scales, order = random.uniform(0.1, 9.0, (20, 1)), random.permutation(20)
    first = geometry(visible, infrared, identities, identities)
    second = geometry((scales * visible)[order], infrared, identities[order], identities)
    assert second == pytest.approx(first, rel=1e-9)


def test_perfect_and_useless_embeddings():
    identities = np.repeat(np.arange(4), 3)
    perfect = geometry(np.eye(4)[identities], np.eye(4)[identities], identities, identities)
    assert perfect == pytest.approx(
        {
            "modality_gap": 0.0,
            "compactness": 0.0,
            "positive_similarity": 1.0,
            "negative_similarity": 0.0,
            "d_prime": np.inf,
        }
    )
    collapsed = geometry(np.full((12, 4), 0.3), np.full((12, 4), 0.3), identities, identities)
    assert collapsed["d_prime"] == collapsed["compactness"] == collapsed["modality_gap"] == 0.0
    assert collapsed["positive_similarity"] == pytest.approx(1.0)


def test_small_variances_do_not_drown_in_rounding(random):
    identities = np.repeat(np.arange(5), 8)
    visible, infrared = (1.0 + 1e-3 * random.normal(size=(40, 16)) for _ in range(2))
    expected = slow_geometry(visible, infrared, identities, identities)["d_prime"]
    with np.errstate(all="raise"):
        assert geometry(visible, infrared, identities, identities)["d_prime"] == pytest.approx(expected, 1e-6)


def test_one_person_and_people_of_one_modality_have_no_figure():
    vectors = np.eye(3)
    alone = geometry(vectors, vectors, np.zeros(3), np.zeros(3))
    assert np.isnan([alone["compactness"], alone["negative_similarity"], alone["d_prime"]]).all()
    assert alone["positive_similarity"] == pytest.approx(1 / 3)
    strangers = geometry(vectors, vectors, np.arange(3), np.arange(3, 6))
    assert np.isnan([strangers["positive_similarity"], strangers["d_prime"]]).all()


@pytest.mark.parametrize(
    ("visible", "infrared", "identities", "message"),
    [
        (np.zeros((2, 3, 4)), np.zeros((2, 4)), ([1, 2], [1, 2]), "Pool feature maps first"),
        (np.zeros((2, 4)), np.zeros((2, 5)), ([1, 2], [1, 2]), r"visible embeddings \(2, 4\) and infrared"),
        (np.zeros((2, 4)), np.zeros((3, 4)), ([1, 2], [1, 2]), "2 visible and 3 infrared"),
        (np.zeros((2, 4)), np.zeros((2, 4)), ([1], [1, 2]), "one identity an image"),
        (np.zeros((0, 4)), np.zeros((2, 4)), ([], [1, 2]), "at least one image"),
    ],
)
def test_what_does_not_fit_is_refused(visible, infrared, identities, message):
    with pytest.raises(ValueError, match=message):
        geometry(visible, infrared, *identities)


def test_memory_stays_bounded(random, monkeypatch):
    monkeypatch.setattr(module, "BLOCK_PAIRS", 1 << 16)
    visible, infrared = random.normal(size=(3000, 4)), random.normal(size=(3000, 4))
    identities = random.integers(0, 50, 3000)
    tracemalloc.start()
    geometry(visible, infrared, identities, identities)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8e6  # all similarities at once: 72 MB
