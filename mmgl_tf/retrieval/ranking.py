"""At which places of a ranked gallery a query's own identity stands: what every retrieval metric is made of.

Legend: Q queries, N gallery images, K gallery images a query is compared with, R most images of an identity.

Nothing is ever put in order but values. A query's row of distances is sorted without its indices (several
times faster than an argsort), then the distances of its own identity, few, are looked up in it by bisection:
the number of smaller ones is the place. Only where two images are equally far does their position decide,
and only such rows are argsorted.
"""

from typing import NamedTuple

import numpy as np

from mmgl_tf.retrieval.labelled import LabelledFeatures

# Queries are ranked in pieces of about this many distances, as many as a core's cache holds (2 MiB in
# float32): twice as fast as whole blocks, and what a piece needs besides is small.
PIECE = 2**19
# A block of distances is left in the cache for the pieces; more rows would not multiply faster either.
MOST_ROWS = 1024


class Matches(NamedTuple):
    """How each query fared; queries without an image of their identity in the gallery have rank -1.

    Attributes:
        rank: int64 [Q], how many came before the first image of the query's identity, or -1.
        average_precision: float64 [Q], mean over relevant places k of (relevant up to k) / k; 0 without.
        inverse_penalty: float64 [Q], relevant images / place of the last one (INP); 0 without.
    """

    rank: np.ndarray
    average_precision: np.ndarray
    inverse_penalty: np.ndarray


class GalleryIndex(NamedTuple):
    """The part of a gallery that some queries are compared with, sorted by identity.

    Attributes:
        columns: int64 [K], columns of the matrix of distances, by identity, then gallery position.
        by_position: int64 [K], the places in `columns` by gallery position.
        identities: int64 [I], which occur, ascending.
        starts: int64 [I], where each begins in `columns`.
        counts: int64 [I], how many images each has.
    """

    columns: np.ndarray
    by_position: np.ndarray
    identities: np.ndarray
    starts: np.ndarray
    counts: np.ndarray


def index_by_identity(identities, kept, columns=None):
    """Sorts a gallery by identity, once for all queries that are compared with the same images.

    Args:
        identities: int64 [N].
        kept: int64 [K], positions in the gallery that are compared, ascending.
        columns: int64 [N], the column of each gallery image in the matrix of distances; None = its position.

    Returns:
        `GalleryIndex`.
    """
    chosen = identities[kept]
    order = np.argsort(chosen, kind="stable")
    present, starts, counts = np.unique(chosen[order], return_index=True, return_counts=True)
    positions = kept[order]
    return GalleryIndex(
        positions if columns is None else columns[positions],
        np.argsort(positions, kind="stable"),
        present,
        starts,
        counts,
    )


def rank_matches(distances, identities, index, identity_once):
    """Ranks the indexed part of a gallery for each query.

    Equal distances are ranked by position in the gallery.

    Args:
        distances: float [Q, M], finite, smaller is nearer; `index.columns` points into M.
        identities: int64 [Q], of the queries.
        index: `GalleryIndex` of the part.
        identity_once: whether `rank` counts identities that came before (by their nearest image) instead of
            images.

    Returns:
        `Matches`. Peak memory beside `distances` is about 50 bytes for each of PIECE distances, or of one
        query's where these are more.

    Raises:
        ValueError: a distance is not finite.
    """
    rank = np.full(len(identities), -1, np.int64)
    precision, penalty = np.zeros((2, len(identities)))
    if len(index.columns):
        group = np.minimum(np.searchsorted(index.identities, identities), len(index.identities) - 1)
        found = np.flatnonzero(index.identities[group] == identities)
        rows = max(1, PIECE // len(index.columns))
        for start in range(0, len(found), rows):
            chosen = found[start : start + rows]
            rank[chosen], places, counts = _rank_piece(distances, chosen, group[chosen], index, identity_once)
            upto = np.arange(1, places.shape[1] + 1)
            shares = np.where(upto <= counts[:, None], upto / places, 0.0)
            precision[chosen] = shares.sum(axis=1) / counts
            penalty[chosen] = counts / places[np.arange(len(chosen)), counts - 1]
    return Matches(rank, precision, penalty)


def _rank_piece(distances, rows, group, index, identity_once):
    """Some queries that have matches: (rank int64 [q], places int64 [q, R], valid ones of each int64 [q])."""
    neighbours = rows[-1] - rows[0] == len(rows) - 1  # as nearly always: then nothing is copied
    distances = distances[rows[0] : rows[-1] + 1] if neighbours else distances[rows]
    counts = index.counts[group]
    width = int(counts.max())
    # mode: without a check of every index, twice as fast; `index_by_identity` made them.
    values = np.take(distances, index.columns, axis=1, mode="clip")
    rank, places, tied = _places(values, group, index, identity_once, width)
    if len(tied):
        ranks = _stable_ranks(np.take(distances[tied], index.columns, axis=1), index.by_position)
        rank[tied], places[tied], _ = _places(ranks, group[tied], index, identity_once, width)
    return rank, places, counts


def _places(values, group, index, identity_once, width):
    """Places of the relevant images among `values` [q, K], which it sorts, as if no two values were equal.

    Returns:
        (rank int64 [q], places int64 [q, width] from 1 and ascending, int64 rows in which a relevant value is
        not the only one of its size).
    """
    counts = index.counts[group][:, None]
    offsets = np.arange(width)
    columns = index.starts[group][:, None] + np.minimum(offsets, counts - 1)
    relevant = np.take_along_axis(values, columns, axis=1)
    relevant[offsets >= counts] = np.inf
    relevant.sort(axis=1)
    if identity_once:
        # Nearest image of every identity; one number per identity and query is left to be compared.
        nearest = np.minimum.reduceat(values, index.starts, axis=1)
        rank = np.count_nonzero(nearest < relevant[:, :1], axis=1)
    values.sort(axis=1)
    if not (np.isfinite(values[:, 0]).all() and np.isfinite(values[:, -1]).all()):
        raise ValueError(
            "A distance between a query and a gallery image is not finite (NaN or infinite). Expected finite "
            "numbers; look for a diverged network or a division by zero where the features were made."
        )
    smaller = _count_smaller(values, relevant)
    after = np.minimum(smaller + 1, values.shape[1] - 1)
    again = (np.take_along_axis(values, after, axis=1) == relevant) & (after > smaller)
    if not identity_once:
        rank = smaller[:, 0]
    return rank, smaller + 1, np.flatnonzero(again.any(axis=1))


def _count_smaller(ordered, needles):
    """How many of each row of `ordered` [q, K], ascending, are smaller than each of `needles` [q, R].

    Bisection of all rows at once. A half is always rounded down and the rest always kept, so that every
    needle takes the same steps and none looks beyond its row.
    """
    flat = ordered.reshape(-1)
    begin = np.arange(len(ordered))[:, None] * ordered.shape[1]
    at = np.repeat(begin, needles.shape[1], axis=1)
    rest = ordered.shape[1]
    while rest > 1:
        half = rest // 2
        at += (flat[half - 1 :].take(at, mode="clip") < needles) * half
        rest -= half
    at += flat.take(at, mode="clip") < needles
    return at - begin


def _stable_ranks(values, by_position):
    """`values` [q, K] replaced by their ranks 0 .. K - 1, equal ones by gallery position."""
    order = by_position[np.argsort(values[:, by_position], axis=1, kind="stable")]
    ranks = np.empty(values.shape, np.float64)
    np.put_along_axis(ranks, order, np.arange(values.shape[1], dtype=np.float64)[None], axis=1)
    return ranks


def compared_parts(query_cameras, gallery_cameras, excluded_cameras, gallery_size):
    """Splits queries by what they may be compared with.

    Args:
        query_cameras: int64 [Q], or None where nothing is excluded.
        gallery_cameras: int64 [N], or None.
        excluded_cameras: query camera -> gallery cameras whose images, of whatever identity, it never sees.
        gallery_size: N.

    Returns:
        List of (queries int64, kept gallery positions int64), every query once.

    Raises:
        ValueError: cameras are excluded, but unknown.
    """
    if not excluded_cameras:
        return [(slice(None), np.arange(gallery_size))]
    if query_cameras is None or gallery_cameras is None:
        raise ValueError(
            f"excluded_cameras is {dict(excluded_cameras)}, but the cameras of queries or gallery are not "
            "given. Pass query_cameras and gallery_cameras."
        )
    parts = {}
    for camera in np.unique(query_cameras).tolist():
        parts.setdefault(tuple(sorted(excluded_cameras.get(camera, ()))), []).append(camera)
    return [
        (
            np.flatnonzero(np.isin(query_cameras, cameras)),
            np.flatnonzero(~np.isin(gallery_cameras, excluded)),
        )
        for excluded, cameras in parts.items()
    ]


def distance_block(query: LabelledFeatures, rows, gallery: LabelledFeatures):
    """How far some queries are from a gallery: float32 [rows, N], smaller is nearer.

    The negative cosine similarity; where both have `lengths`, the squared Euclidean distance of the rows as
    long as they were, but for what a query adds to all of its distances alike.
    """
    block = query.features[rows] @ gallery.features.T
    if query.lengths is None:
        return np.negative(block, out=block)
    block *= -2.0 * query.lengths[rows, None]
    block *= gallery.lengths
    block += np.square(gallery.lengths)
    return block


def query_blocks(queries, gallery_size, block_bytes):
    """Slices of queries whose float32 distances take about `block_bytes` at most; one query at least.

    Args:
        queries: Q.
        gallery_size: N.
        block_bytes: bytes.

    Returns:
        List of slices that cover 0 .. Q - 1 in order.
    """
    rows = min(MOST_ROWS, max(1, int(block_bytes) // (4 * max(1, gallery_size))))
    return [slice(start, min(start + rows, queries)) for start in range(0, queries, rows)]
