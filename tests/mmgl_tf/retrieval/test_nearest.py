import sys
import tracemalloc

import numpy as np
import pytest

from mmgl_tf.retrieval import nearest as module
from mmgl_tf.retrieval.nearest import nearest


@pytest.fixture
def random():
    return np.random.default_rng(11)


def unit(vectors):
    vectors = np.asarray(vectors, np.float64)
    return (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)


def slow(queries, gallery, top_k):
    """Every pair by itself, then a plain sort by falling similarity, then position."""
    positions, similarities = [], []
    for query in queries.astype(np.float64):
        values = [float(np.sum(image.astype(np.float64) * query)) for image in gallery]
        order = sorted(range(len(gallery)), key=lambda i: (-values[i], i))[:top_k]
        positions.append(order)
        similarities.append([values[i] for i in order])
    return np.array(positions), np.array(similarities)


INDICES = ["exact", "faiss"]


def require(index):
    if index == "faiss":
        pytest.importorskip("faiss")


@pytest.mark.parametrize("index", INDICES)
@pytest.mark.parametrize("rows", [7, 64, 10_000])
def test_it_is_the_slow_obvious_search(random, monkeypatch, index, rows):
    require(index)
    monkeypatch.setattr(module, "BLOCK_NUMBERS", rows * 24)
    monkeypatch.setattr(module, "BLOCK_PAIRS", 5 * rows)
    queries, gallery = unit(random.normal(size=(23, 24))), unit(random.normal(size=(301, 24)))
    expected, similarities = slow(queries, gallery, 9)
    found = nearest(queries, gallery, 9, index)
    np.testing.assert_array_equal(found.positions, expected)
    np.testing.assert_allclose(found.similarities, similarities, rtol=0, atol=6e-8)
    assert found.positions.dtype == np.int64
    assert found.similarities.dtype == np.float32


@pytest.mark.parametrize("index", INDICES)
def test_copies_of_an_image_come_in_the_gallery_s_order_however_many(random, monkeypatch, index):
    require(index)
    monkeypatch.setattr(module, "BLOCK_NUMBERS", 33 * 48)
    monkeypatch.setattr(module, "BLOCK_PAIRS", 100)
    people = unit(random.normal(size=(3, 48)))
    gallery = people[np.arange(600) % 3]  # 200 copies of each: far more than are proposed
    queries = unit(people + 0.1 * random.normal(size=(3, 48)))
    found = nearest(queries, gallery, 20, index)
    np.testing.assert_array_equal(found.positions, slow(queries, gallery, 20)[0])
    np.testing.assert_array_equal(found.positions[1], np.arange(1, 61, 3))
    assert (found.similarities == found.similarities[:, :1]).all()


def test_a_gallery_all_alike_needs_no_more_memory_than_another(random, monkeypatch):
    monkeypatch.setattr(module, "BLOCK_NUMBERS", 2000 * 8)
    gallery = unit(np.tile(random.normal(size=8), (200_000, 1)))
    gallery[150_000:, 0] += 1e-6  # nearer than all before, by less than is proposed by
    tracemalloc.start()
    found = nearest(gallery[-1:], gallery, 5)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    np.testing.assert_array_equal(found.positions, [[150_000, 150_001, 150_002, 150_003, 150_004]])
    assert peak < 1_000_000  # 8 bytes for each image would be 1.6 MB


def test_the_nearly_equal_are_told_apart_as_in_float64(random):
    # Around one direction, so near that float32 products cannot say which is nearer.
    middle = random.normal(size=64)
    gallery = unit(middle + 1e-5 * random.normal(size=(400, 64)))
    queries = unit(middle + random.normal(size=(4, 64)))
    np.testing.assert_array_equal(nearest(queries, gallery, 5).positions, slow(queries, gallery, 5)[0])


@pytest.mark.parametrize("index", INDICES)
def test_a_gallery_smaller_than_the_list_is_all_listed(random, index):
    require(index)
    gallery = unit(random.normal(size=(4, 8)))
    found = nearest(gallery, gallery, 10, index)
    assert found.positions.shape == (4, 4)
    np.testing.assert_array_equal(np.sort(found.positions, axis=1), np.tile(np.arange(4), (4, 1)))
    np.testing.assert_array_equal(found.positions[:, 0], np.arange(4))
    assert found.similarities.max() <= 1.0


def test_opposite_and_zero_vectors_have_their_similarities():
    east = np.array([[1.0, 0.0]], np.float32)
    found = nearest(east, np.array([[-1.0, 0.0], [0.0, 0.0], [1.0, 0.0]], np.float32), 3)
    np.testing.assert_array_equal(found.positions, [[2, 1, 0]])
    np.testing.assert_array_equal(found.similarities, [[1.0, 0.0, -1.0]])


def test_the_gallery_is_never_whole_in_memory(random, monkeypatch):
    monkeypatch.setattr(module, "BLOCK_NUMBERS", 10 * 8)
    seen = []

    class Gallery(np.ndarray):
        def __getitem__(self, key):
            found = super().__getitem__(key)
            seen.append(len(found))
            return np.asarray(found)

    gallery = unit(random.normal(size=(500, 8)))
    found = nearest(gallery[:3], gallery.view(Gallery), 2)
    np.testing.assert_array_equal(found.positions[:, 0], np.arange(3))
    assert sum(seen[:50]) == 500
    assert max(seen) <= 36  # a block of 10, or the proposals for one query


@pytest.mark.parametrize("what", ["queries", "gallery"])
def test_numbers_that_are_not_finite_are_refused(what):
    images = {"queries": np.eye(3, dtype=np.float32), "gallery": np.eye(3, dtype=np.float32)}
    images[what][1, 1] = np.nan
    with pytest.raises(ValueError, match="not finite, the first at position 1"):
        nearest(images["queries"], images["gallery"], 1)


@pytest.mark.parametrize(
    ("queries", "gallery", "top_k", "index", "message"),
    [
        (np.eye(3), np.eye(4), 1, "exact", "one model"),
        (np.eye(3), np.zeros((0, 3)), 1, "exact", "at least 1"),
        (np.eye(3), np.eye(3), 0, "exact", "top_k=0"),
        (np.eye(3), np.eye(3), 1, "annoy", "'exact' or 'faiss'"),
    ],
)
def test_what_cannot_be_searched_is_refused(queries, gallery, top_k, index, message):
    with pytest.raises(ValueError, match=message):
        nearest(queries.astype(np.float32), gallery.astype(np.float32), top_k, index)


def test_faiss_is_asked_for_by_name_where_it_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(ValueError, match="pip install faiss-cpu"):
        nearest(np.eye(3, dtype=np.float32), np.eye(3, dtype=np.float32), 1, "faiss")
    nearest(np.eye(3, dtype=np.float32), np.eye(3, dtype=np.float32), 1)
