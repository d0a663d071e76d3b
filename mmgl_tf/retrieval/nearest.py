"""The K nearest gallery images of each query by cosine similarity: exact, in blocks, with a stated memory.

NumPy only; FAISS is an option. A matrix product in float32 proposes a few more than K images a query, and
these are compared again in float64, one pair at a time. So the result does not depend on block sizes, on the
linear algebra library or on who proposed, and copies of an image are equally near, to the last bit.

Legend: Q queries, N gallery images, D embedding size, K places of a list, P proposals for it.
"""

from typing import NamedTuple

import numpy as np

# Numbers of the gallery that are in memory at once: 64 MiB of float32.
BLOCK_NUMBERS = 1 << 24
# Similarities held at once; what is needed to select among them is 16 bytes each, 64 MiB.
BLOCK_PAIRS = 1 << 22
# Numbers multiplied at once in float64: few enough for a core's cache, which is several times as fast.
CACHED_NUMBERS = 1 << 16
# Proposals beyond twice K; images as near as the last place rarely are more.
SLACK = 32
# A float32 product of unit vectors is off by about 1e-7, less than 1e-6 at 2048 numbers in any order of
# adding; two images that it tells apart by more than this are in their order.
MARGIN = 1e-5


class Nearest(NamedTuple):
    """Ranked lists.

    Attributes:
        positions: int64 [Q, K], in the gallery, the most similar image first; of equally similar ones the
            earlier one.
        similarities: float32 [Q, K], falling, in -1..1.
    """

    positions: np.ndarray
    similarities: np.ndarray


def nearest(queries, gallery, top_k, index="exact"):
    """The `top_k` most similar gallery images of each query.

    Choice: "faiss" is `IndexFlatIP`, which compares every pair as "exact" does, on all cores and without a
    matrix of similarities. HNSW and IVF graphs answer a query faster, but building one costs more than
    thousands of queries, and a command builds its index each time; they pay in a service that keeps them.

    Args:
        queries: float32 [Q, D], unit length (a zero vector is similar to nothing: 0 with all).
        gallery: float32 [N, D], unit length; a memory-mapped array is read block by block, "exact" once.
        top_k: K, at least 1; N where the gallery has fewer images.
        index: "exact" or "faiss".

    Returns:
        `Nearest`, of min(K, N) places. "exact" needs 130 MiB plus 12 (2 K + 32) bytes for each query, however
        large and however alike the gallery; "faiss" a copy of the gallery, 4 N D bytes. A query to which more
        than K + 32 images are as near as the last place, within 1e-5, is compared with the gallery once more,
        with all those images in float64: it then takes longer than others.

    Raises:
        ValueError: shapes that do not belong together, nothing to compare, numbers that are not finite, or
            "faiss" without the package.
    """
    queries = np.ascontiguousarray(queries, np.float32)
    if queries.ndim != 2 or len(gallery.shape) != 2 or queries.shape[1] != gallery.shape[1]:
        raise ValueError(
            f"Got queries {queries.shape} and a gallery {gallery.shape}; expected [Q, D] and [N, D], "
            "embeddings of one model."
        )
    if not len(gallery) or top_k < 1:
        raise ValueError(
            f"Got a gallery of {len(gallery)} images and top_k={top_k}; expected at least 1 each."
        )
    if index not in ("exact", "faiss"):
        raise ValueError(f"index is {index!r}, expected 'exact' or 'faiss'.")
    _check_finite(queries, 0, "query")
    top_k = min(top_k, len(gallery))
    proposals = min(2 * top_k + SLACK, len(gallery))
    propose = _propose if index == "exact" else _propose_with_faiss
    values, places = propose(queries, gallery, proposals)
    positions = np.empty((len(queries), top_k), np.int64)
    similarities = np.empty((len(queries), top_k), np.float32)
    for row, query in enumerate(queries):
        edge = np.sort(values[row])[-top_k] - MARGIN
        candidates = [np.sort(places[row])]
        if proposals < len(gallery) and values[row].min() >= edge:
            candidates = _all_near(query, gallery, edge)  # more images are that near than were proposed
        positions[row], exact = _best(query, gallery, candidates, top_k)
        similarities[row] = np.clip(exact, -1.0, 1.0)
    return Nearest(positions, similarities)


def _propose(queries, gallery, proposals):
    """float32 and int64 [Q, P]: the largest similarities and their positions, in no order."""
    values = np.full((len(queries), 0), -np.inf, np.float32)
    places = np.zeros((len(queries), 0), np.int64)
    for start, block in _blocks(gallery):
        kept = min(proposals, values.shape[1] + len(block))
        new_values = np.empty((len(queries), kept), np.float32)
        new_places = np.empty((len(queries), kept), np.int64)
        rows = max(1, BLOCK_PAIRS // (len(block) + values.shape[1]))
        for first in range(0, len(queries), rows):
            part = slice(first, first + rows)
            both = np.concatenate([values[part], queries[part] @ block.T], axis=1)
            chosen = np.argpartition(both, both.shape[1] - kept, axis=1)[:, both.shape[1] - kept :]
            new_values[part] = np.take_along_axis(both, chosen, axis=1)
            known = values.shape[1]
            new_places[part] = start + chosen - known
            if known:
                earlier = np.take_along_axis(places[part], np.minimum(chosen, known - 1), axis=1)
                new_places[part] = np.where(chosen < known, earlier, new_places[part])
        values, places = new_values, new_places
    return values, places


def _propose_with_faiss(queries, gallery, proposals):
    """As `_propose`."""
    try:
        import faiss
    except ImportError as error:
        raise ValueError(
            "--search_index=faiss needs the package faiss-cpu: pip install faiss-cpu "
            "(or leave the flag out: exact needs nothing)"
        ) from error
    index = faiss.IndexFlatIP(gallery.shape[1])
    for _, block in _blocks(gallery):
        index.add(block)
    return index.search(queries, proposals)


def _all_near(query, gallery, edge):
    """Ascending int64 [n], block by block: every position whose similarity may be at least `edge`."""
    for start, block in _blocks(gallery):
        yield start + np.flatnonzero(block @ query >= edge - MARGIN)


def _best(query, gallery, candidates, top_k):
    """(int64 [K], float64 [K]) of the nearest among parts of ascending positions; no more than K are kept."""
    positions, values = np.zeros(0, np.int64), np.zeros(0)
    for part in candidates:
        positions = np.concatenate([positions, part])
        values = np.concatenate([values, _similarities(query, gallery, part)])
        # Stable, and what was kept comes first: equals stay in the gallery's order.
        order = np.argsort(-values, kind="stable")[:top_k]
        positions, values = positions[order], values[order]
    return positions, values


def _similarities(query, gallery, positions):
    """float64 [n]. Summed along each row alone, so that equal rows give equal sums, wherever they stand."""
    found = np.empty(len(positions))
    query = query.astype(np.float64)
    rows = max(1, CACHED_NUMBERS // len(query))
    for start in range(0, len(positions), rows):
        part = positions[start : start + rows]
        found[start : start + rows] = (gallery[part] * query).sum(axis=1)
    return found


def _blocks(gallery):
    """(position of the first row, float32 rows) of a gallery, from its beginning to its end."""
    rows = max(1, BLOCK_NUMBERS // gallery.shape[1])
    for start in range(0, len(gallery), rows):
        block = np.ascontiguousarray(gallery[start : start + rows], np.float32)
        _check_finite(block, start, "gallery")
        yield start, block


def _check_finite(vectors, start, what):
    bad = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
    if bad.size:
        raise ValueError(
            f"{bad.size} {what} embeddings are not finite, the first at position {start + bad[0]}; "
            "embed these images anew with a model that did not diverge."
        )
