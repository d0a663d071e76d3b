import tracemalloc

import numpy as np
import pytest

from mmgl_tf.retrieval.metrics import score
from mmgl_tf.retrieval.reranking import reranked_distances


def unit(rng, number, values, people=6):
    traits = np.random.default_rng(5).standard_normal((people, values))
    features = traits[rng.integers(0, people, number)] + rng.standard_normal((number, values))
    return np.float32(features / np.linalg.norm(features, axis=1, keepdims=True))


def slow_reranking(query, gallery, k1, k2, weight):
    """One image, one neighbour at a time, with sets."""
    features = np.concatenate([query, gallery]).astype(np.float64)
    images = range(len(features))
    far = [[max(2 - 2 * float(a @ b), 0.0) for b in features] for a in features]
    near = [[i, *sorted((j for j in images if j != i), key=lambda j: (far[i][j], j))] for i in images]
    distance = [[value / max(row) for value in row] for row in far]

    def reciprocal(i, k):
        return {j for j in near[i][: k + 1] if i in near[j][: k + 1]}

    soft = np.zeros((len(features), len(features)))
    for i in images:
        own = reciprocal(i, k1)
        expanded = set(own)
        for j in own:
            other = reciprocal(j, round(k1 / 2))
            if len(other & own) > 2 / 3 * len(other):
                expanded |= other
        for j in expanded:
            soft[i, j] = np.exp(-distance[i][j])
        soft[i] /= soft[i].sum()
    soft = np.array([np.mean([soft[j] for j in near[i][:k2]], axis=0) for i in images])
    result = np.zeros((len(query), len(gallery)))
    for q in range(len(query)):
        for g in range(len(gallery)):
            other = len(query) + g
            common = np.minimum(soft[q], soft[other]).sum() / np.maximum(soft[q], soft[other]).sum()
            result[q, g] = (1 - weight) * (1 - common) + weight * distance[q][other]
    return result


@pytest.mark.parametrize(
    ("k1", "k2", "weight"), [(20, 6, 0.3), (5, 3, 0.3), (3, 1, 0.0), (6, 2, 0.8), (100, 7, 0.1)]
)
@pytest.mark.parametrize("block_bytes", [1, 2**27])
def test_as_the_slow_version(k1, k2, weight, block_bytes):
    rng = np.random.default_rng(k1)
    query, gallery = unit(rng, 17, 8), unit(rng, 36, 8)
    found = reranked_distances(query, gallery, k1, k2, weight, block_bytes)
    assert (found.dtype, found.shape) == (np.float32, (17, 36))
    np.testing.assert_allclose(found, slow_reranking(query, gallery, k1, k2, weight), atol=2e-6)


def test_equally_near_images_are_taken_by_position():
    exact = np.eye(3, dtype=np.float32)[[0, 1, 0, 2, 1, 1, 0, 0, 0, 2, 1, 0]]  # distances of 0 and 2 only
    found = reranked_distances(exact[:4], exact[4:], 3, 2)
    np.testing.assert_allclose(found, slow_reranking(exact[:4], exact[4:], 3, 2, 0.3), atol=1e-6)


def test_copies_of_one_image_are_all_equally_far():
    same = np.ones((6, 1), np.float32)
    assert np.isfinite(reranked_distances(same[:2], same[2:])).all()


def test_weight_one_is_the_order_of_the_original():
    rng = np.random.default_rng(1)
    query, gallery = unit(rng, 5, 8), unit(rng, 30, 8)
    found = reranked_distances(query, gallery, weight=1)
    np.testing.assert_array_equal(np.argsort(found, 1), np.argsort(-(query @ gallery.T), 1))


def test_it_finds_more_where_images_of_a_person_are_near_each_other():
    rng = np.random.default_rng(0)
    identities = np.tile(np.arange(15), 8)
    traits = rng.standard_normal((15, 32))
    features = traits[identities] + 1.3 * rng.standard_normal((120, 32))
    features = np.float32(features / np.linalg.norm(features, axis=1, keepdims=True))
    query, gallery = features[:45], features[45:]
    labels = (identities[:45], identities[45:])
    before = score(-(query @ gallery.T), *labels).mAP
    after = score(reranked_distances(query, gallery, 6, 3), *labels).mAP
    assert after > before + 0.02


def test_memory_stays_below_a_square_of_all_images():
    rng = np.random.default_rng(0)
    query, gallery = unit(rng, 200, 16, 300), unit(rng, 3000, 16, 300)
    tracemalloc.start()
    reranked_distances(query, gallery, block_bytes=2**20)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3200**2 * 4 * 0.75


def test_bad_input_is_named():
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="with one network"):
        reranked_distances(unit(rng, 3, 8), unit(rng, 3, 4))
    for wrong in ({"k1": 0}, {"k2": 0}, {"weight": 1.5}):
        with pytest.raises(ValueError, match="expected 1 or more"):
            reranked_distances(unit(rng, 3, 8), unit(rng, 3, 8), **wrong)
