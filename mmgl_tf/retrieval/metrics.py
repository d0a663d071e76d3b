"""CMC, mAP and mINP of a ranked gallery, as SYSU-MM01 and RegDB are scored. NumPy only."""

from dataclasses import dataclass

import numpy as np

from mmgl_tf.retrieval.labelled import LabelledFeatures
from mmgl_tf.retrieval.ranking import (
    compared_parts,
    distance_block,
    index_by_identity,
    query_blocks,
    rank_matches,
)

BLOCK_BYTES = 256 * 2**20


@dataclass(frozen=True, eq=False)
class Scores:
    """Retrieval metrics of one gallery, fractions 0 .. 1.

    Attributes:
        cmc: float64 [max_rank]; cmc[k - 1] is Rank-k, the share of queries found among the first k.
        mAP: mean average precision, over images.
        mINP: mean inverse negative penalty, over images (how soon the last one is found).
        valid: queries with an image of their identity among what they are compared with; only these count.
        without_match: the other queries.
    """

    cmc: np.ndarray
    mAP: float
    mINP: float
    valid: int
    without_match: int

    def rank(self, k: int) -> float:
        """Rank-k.

        Args:
            k: 1 .. max_rank.
        """
        if not 1 <= k <= len(self.cmc):
            raise ValueError(f"Rank-{k} was asked for; this curve has 1 .. {len(self.cmc)}. Raise max_rank.")
        return float(self.cmc[k - 1])


class Tally:
    """Adds up `Matches` of blocks of queries.

    Args:
        max_rank: length of the match curve.
    """

    def __init__(self, max_rank):
        if max_rank < 1:
            raise ValueError(f"max_rank is {max_rank}; expected 1 or more.")
        self.hits = np.zeros(max_rank + 1, np.int64)
        self.precision = self.penalty = 0.0
        self.queries = self.valid = 0

    def add(self, matches):
        """Counts some more queries."""
        found = matches.rank >= 0
        self.hits += np.bincount(
            np.minimum(matches.rank[found], len(self.hits) - 1), minlength=len(self.hits)
        )
        self.precision += matches.average_precision.sum()
        self.penalty += matches.inverse_penalty.sum()
        self.queries += len(matches.rank)
        self.valid += int(found.sum())

    def scores(self, gallery_size) -> Scores:
        """The metrics of everything counted.

        Raises:
            ValueError: no query has a match.
        """
        if not self.valid:
            raise ValueError(
                f"None of the {self.queries} queries (without_match={self.queries}) has an image of its "
                f"identity among the {gallery_size} gallery images that it is compared with, so there is "
                "nothing to average. Check that query and gallery number identities alike, and the "
                "excluded cameras."
            )
        return Scores(
            np.cumsum(self.hits[:-1]) / self.valid,
            float(self.precision / self.valid),
            float(self.penalty / self.valid),
            self.valid,
            self.queries - self.valid,
        )


def score(
    distances,
    query_identities,
    gallery_identities,
    query_cameras=None,
    gallery_cameras=None,
    excluded_cameras=None,
    identity_once=False,
    max_rank=20,
) -> Scores:
    """Scores a matrix of distances.

    For each query: gallery images of its excluded cameras are dropped, of every identity (SYSU-MM01: a
    camera-3 query sees no camera-2 image). The rest is ranked by distance, equal ones by their position in
    the gallery. With the places p_1 < ... < p_R of the images of the query's identity,

        AP = mean over k of k / p_k        INP = R / p_R

    and the query is found from rank p_1 on; with `identity_once` from 1 + the number of other identities
    that came before p_1, each counted once (SYSU-MM01). Queries without such an image are left out of every
    mean and counted in `without_match`. A curve is constant beyond the last identity or image, so that a
    small gallery has one of full length too.

    Args:
        distances: float [Q, N], smaller is nearer, finite.
        query_identities: int [Q].
        gallery_identities: int [N].
        query_cameras: int [Q]; needed where cameras are excluded.
        gallery_cameras: int [N]; likewise.
        excluded_cameras: query camera -> cameras of the gallery it is not compared with, or None.
        identity_once: see above.
        max_rank: length of the match curve.

    Returns:
        `Scores`. Peak memory beside `distances`: BLOCK_BYTES, or one query's share of it if that is more.

    Raises:
        ValueError: shapes do not agree, a distance is not finite, or no query has a match.
    """
    distances = np.asarray(distances)
    if distances.dtype not in (np.float32, np.float64):
        distances = distances.astype(np.float64)
    query_identities, gallery_identities = np.asarray(query_identities), np.asarray(gallery_identities)
    sizes = (len(query_identities), len(gallery_identities))
    if distances.shape != sizes:
        raise ValueError(
            f"distances have shape {distances.shape} for {sizes[0]} query and {sizes[1]} gallery identities; "
            "expected [queries, gallery]. Transpose the matrix, or pass the labels of the same images."
        )
    query_cameras = _cameras(query_cameras, "query", sizes[0])
    gallery_cameras = _cameras(gallery_cameras, "gallery", sizes[1])
    parts = compared_parts(query_cameras, gallery_cameras, excluded_cameras, sizes[1])
    tally = Tally(max_rank)
    for queries, kept in parts:
        index = index_by_identity(gallery_identities, kept)
        queries = np.arange(sizes[0])[queries]
        for block in query_blocks(len(queries), sizes[1], BLOCK_BYTES):
            rows = queries[block]
            tally.add(rank_matches(distances[rows], query_identities[rows], index, identity_once))
    return tally.scores(sizes[1])


def score_features(
    query: LabelledFeatures,
    gallery: LabelledFeatures,
    excluded_cameras=None,
    identity_once=False,
    max_rank=20,
    block_bytes=BLOCK_BYTES,
) -> Scores:
    """Scores embeddings by cosine similarity, a block of queries at a time, never with all distances at once.

    Peak memory beside the embeddings is about `block_bytes` plus what one query needs at least (48 bytes a
    gallery image), however many queries there are: 4,000 x 100,000 take 256 MiB instead of the 1.6 GB of
    their distances, and of several times as much for an argsort of them.

    Args:
        query: of Q images.
        gallery: of N images.
        excluded_cameras: as in `score`.
        identity_once: as in `score`.
        max_rank: as in `score`.
        block_bytes: bytes for a block of queries and all that is computed from it.

    Returns:
        `Scores`, as `score` gives them of minus the similarities.

    Raises:
        ValueError: embeddings of different lengths, or as `score`.
    """
    require_comparable(query, gallery)
    parts = compared_parts(query.cameras, gallery.cameras, excluded_cameras, len(gallery))
    tally = Tally(max_rank)
    for queries, kept in parts:
        index = index_by_identity(gallery.identities, kept)
        queries = np.arange(len(query))[queries]
        for block in query_blocks(len(queries), len(gallery), block_bytes):
            rows = queries[block]
            tally.add(
                rank_matches(
                    distance_block(query, rows, gallery), query.identities[rows], index, identity_once
                )
            )
    return tally.scores(len(gallery))


def require_comparable(query, gallery):
    """Raises ValueError where query and gallery embeddings differ in length."""
    if query.features.shape[1] != gallery.features.shape[1]:
        raise ValueError(
            f"Query embeddings have {query.features.shape[1]} numbers, gallery embeddings "
            f"{gallery.features.shape[1]}; expected the same. Extract both with one network."
        )


def _cameras(cameras, side, number):
    if cameras is None:
        return None
    cameras = np.asarray(cameras)
    if cameras.shape != (number,):
        raise ValueError(
            f"{side}_cameras have shape {cameras.shape}; expected {number}, one for each {side} identity."
        )
    return cameras
