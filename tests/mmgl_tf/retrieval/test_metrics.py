import tracemalloc

import numpy as np
import pytest

from mmgl_tf.retrieval import ranking
from mmgl_tf.retrieval.labelled import LabelledFeatures
from mmgl_tf.retrieval.metrics import score, score_features
from tests.mmgl_tf.retrieval.slow_scores import slow_scores

SYSU_RULES = {"excluded_cameras": {3: (2,)}, "identity_once": True}

# A worked example, scored by hand and by the published evaluators.
GALLERY, GALLERY_CAMERAS = [1, 2, 1, 2, 3, 1, 4], [2, 1, 4, 5, 1, 1, 2]
QUERIES, QUERY_CAMERAS = [1, 2, 3, 4], [3, 3, 6, 3]
DISTANCES = np.array(
    [
        [0.10, 0.15, 0.40, 0.25, 0.50, 0.60, 0.70],
        [0.35, 0.05, 0.55, 0.65, 0.45, 0.25, 0.15],
        [0.80, 0.40, 0.30, 0.20, 0.10, 0.60, 0.55],
        [0.70, 0.22, 0.33, 0.12, 0.55, 0.66, 0.05],
    ]
)


def random_case():
    random = np.random.RandomState(7)
    queries = random.randint(0, 24, 40)
    gallery = np.concatenate([np.arange(24), random.randint(0, 24, 66)])
    query_cameras, gallery_cameras = random.choice([3, 6], 40), random.choice([1, 2, 4, 5], 90)
    distances = random.rand(40, 90)
    gallery_cameras[:24] = 1
    return distances, queries, gallery, query_cameras, gallery_cameras


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_worked_example(dtype):
    distances = DISTANCES.astype(dtype)
    sysu = score(distances, QUERIES, GALLERY, QUERY_CAMERAS, GALLERY_CAMERAS, **SYSU_RULES, max_rank=3)
    np.testing.assert_allclose(sysu.cmc, [2 / 3, 1, 1], rtol=1e-12)
    assert sysu.mAP == pytest.approx(31 / 45, rel=1e-12)
    assert sysu.mINP == pytest.approx(0.6, rel=1e-12)
    assert (sysu.valid, sysu.without_match) == (3, 1)
    regdb = score(distances, QUERIES, GALLERY, max_rank=7)
    np.testing.assert_array_equal(regdb.cmc, np.ones(7))
    assert regdb.mAP == pytest.approx(0.8273809524, abs=1e-10)
    assert regdb.mINP == pytest.approx(0.6964285714, abs=1e-10)


def test_random_case_of_the_published_evaluators():
    distances, queries, gallery, query_cameras, gallery_cameras = random_case()
    sysu = score(distances, queries, gallery, query_cameras, gallery_cameras, **SYSU_RULES)
    assert [sysu.rank(k) for k in (1, 5, 10, 20)] == pytest.approx([0.075, 0.225, 0.375, 0.875])
    assert (sysu.mAP, sysu.mINP) == pytest.approx((0.10678558, 0.07821836), abs=1e-8)
    regdb = score(distances, queries, gallery)
    assert [regdb.rank(k) for k in (1, 5, 10, 20)] == pytest.approx([0.05, 0.225, 0.4, 0.525])
    assert (regdb.mAP, regdb.mINP) == pytest.approx((0.09339306, 0.06090987), abs=1e-8)


@pytest.mark.parametrize("seed", range(300))
def test_any_case_as_the_slow_evaluator(seed, monkeypatch):
    """Ties, tiny galleries, absent identities, single cameras, exclusion, both curves, small pieces."""
    rng = np.random.default_rng(seed)
    queries, images, people = rng.integers(1, 12), rng.integers(1, 40), rng.integers(1, 9)
    levels = rng.choice([1, 2, 5, 10**6])  # few levels: many ties
    distances = rng.integers(-levels, levels + 1, (queries, images)) / levels
    distances = distances.astype(rng.choice([np.float32, np.float64]))
    query_identities, gallery_identities = (
        rng.integers(-1, people, number) * 3 for number in (queries, images)
    )
    query_cameras = rng.choice([3, 6][: rng.integers(1, 3)], queries)
    gallery_cameras = rng.choice([1, 2, 4, 5][: rng.integers(1, 5)], images)
    excluded = [{}, {3: (2,)}, {3: (1, 2), 6: (4,)}, {6: (1, 2, 4, 5)}][rng.integers(4)]
    once, max_rank = bool(rng.integers(2)), int(rng.integers(1, 25))
    monkeypatch.setattr(ranking, "PIECE", int(rng.choice([1, 60, 10**6])))
    labels = (query_identities, gallery_identities, query_cameras, gallery_cameras)
    expected = slow_scores(distances, *labels, excluded, once, max_rank)
    if expected is None:
        with pytest.raises(ValueError, match=f"None of the {queries} queries .without_match={queries}"):
            score(distances, *labels, excluded, once, max_rank)
        return
    found = score(distances, *labels, excluded, once, max_rank)
    np.testing.assert_allclose(found.cmc, expected[0], rtol=1e-12)
    assert (found.mAP, found.mINP) == pytest.approx(expected[1:3], rel=1e-12)
    assert (found.valid, found.without_match) == (expected[3], queries - expected[3])


def test_equal_distances_are_ranked_by_gallery_position():
    zeros = np.zeros((1, 4), np.float32)
    assert score(zeros, [1], [1, 2, 3, 3]).rank(1) == 1
    assert score(zeros, [1], [2, 3, 3, 1]).cmc[:4].tolist() == [0, 0, 0, 1]
    assert score(zeros, [1], [2, 3, 3, 1], identity_once=True).cmc[:3].tolist() == [0, 0, 1]


def test_a_small_gallery_has_a_curve_of_full_length():
    scores = score(np.array([[0.1, 0.0]]), [1], [1, 2])
    assert scores.cmc.tolist() == [0.0] + [1.0] * 19


def unit(rng, number, values=8):
    features = rng.standard_normal((number, values)).astype(np.float32)
    return features / np.linalg.norm(features, axis=1, keepdims=True)


def labelled(rng, number, people, cameras, values=8):
    return LabelledFeatures(
        unit(rng, number, values), rng.integers(0, people, number), rng.choice(cameras, number)
    )


@pytest.mark.parametrize("block_bytes", [1, 4 * 70 * 7, 2**28])
def test_features_in_blocks_score_as_their_distances(block_bytes):
    rng = np.random.default_rng(0)
    query, gallery = labelled(rng, 50, 9, [3, 6]), labelled(rng, 70, 9, [1, 2])
    # Integers keep float32 products exact, so that blocks of any size order equal and near images alike.
    for side in (query, gallery):
        side.features[:] = np.eye(8, dtype=np.float32)[rng.integers(0, 8, len(side))]
    expected = score(
        -(query.features @ gallery.features.T),
        query.identities,
        gallery.identities,
        query.cameras,
        gallery.cameras,
        **SYSU_RULES,
    )
    found = score_features(query, gallery, **SYSU_RULES, block_bytes=block_bytes)
    np.testing.assert_array_equal(found.cmc, expected.cmc)
    assert (found.mAP, found.mINP) == pytest.approx((expected.mAP, expected.mINP), rel=1e-12)


def test_nearer_means_more_similar():
    query = LabelledFeatures(np.eye(3)[:1], np.array([5]), np.array([-1]))
    gallery = LabelledFeatures(np.eye(3), np.array([5, 6, 7]), np.full(3, -1))
    assert score_features(query, gallery).mAP == 1


@pytest.mark.parametrize("tied", [False, True])
def test_memory_is_bounded(tied, monkeypatch):
    monkeypatch.setattr(ranking, "PIECE", 2**16)
    rng = np.random.default_rng(0)
    query, gallery = labelled(rng, 600, 100, [-1], 4), labelled(rng, 20_000, 100, [-1], 4)
    if tied:
        query.features[:], gallery.features[:] = 0.5, 0.5
    peaks = []
    for number in (200, 600):
        few = query.take(np.arange(number))
        tracemalloc.start()
        score_features(few, gallery, block_bytes=4 * 2**20)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert max(peaks) < 4 * 2**20 + 50 * 2**16  # all distances alone would be 48 MB
    assert abs(peaks[1] - peaks[0]) < 2**20  # the number of queries does not matter


def test_bad_input_is_named():
    with pytest.raises(ValueError, match=r"shape .4, 7. for 4 query and 6 gallery"):
        score(DISTANCES, QUERIES, GALLERY[:6])
    with pytest.raises(ValueError, match="cameras of queries or gallery are not given"):
        score(DISTANCES, QUERIES, GALLERY, excluded_cameras={3: (2,)})
    with pytest.raises(ValueError, match=r"gallery_cameras have shape .2,.; expected 7"):
        score(DISTANCES, QUERIES, GALLERY, QUERY_CAMERAS, [1, 2], {3: (2,)})
    with pytest.raises(ValueError, match="max_rank is 0"):
        score(DISTANCES, QUERIES, GALLERY, max_rank=0)
    with pytest.raises(ValueError, match="Rank-8 was asked for"):
        score(DISTANCES, QUERIES, GALLERY, max_rank=7).rank(8)
    for wrong in (np.nan, np.inf, -np.inf):
        distances = DISTANCES.copy()
        distances[1, 2] = wrong
        with pytest.raises(ValueError, match="not finite"):
            score(distances, QUERIES, GALLERY)


def test_embeddings_of_two_networks_are_refused():
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="have 8 numbers, gallery embeddings 4"):
        score_features(labelled(rng, 3, 2, [1]), labelled(rng, 3, 2, [1], 4))
