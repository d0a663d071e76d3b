"""k-reciprocal re-ranking (Zhong et al., CVPR 2017): distances that know who else is near.

Legend: Q queries, N gallery images, M = Q + N, D embedding size.
"""

import numpy as np
from scipy import sparse

BLOCK_BYTES = 128 * 2**20


def reranked_distances(query, gallery, k1=20, k2=6, weight=0.3, block_bytes=BLOCK_BYTES):
    """Mixes distances with how much the neighbourhoods of two images have in common.

    With d the squared Euclidean distance of unit vectors, each image's divided by its largest, over queries
    and gallery together:

        R(i, k)  = {j : j among the k nearest of i, and i among those of j}     (an image is its own nearest)
        R*(i)    = R(i, k1) and each R(j, k1/2), j in R(i, k1), of which more than 2/3 are in R(i, k1)
        V(i, j)  = exp(-d(i, j)) for j in R*(i), else 0; rows divided by their sum
        V(i)     = mean of V over the k2 nearest of i
        result   = (1 - weight) (1 - sum_j min(V) / sum_j max(V)) + weight d

    Choice: k nearest are k besides the image itself in R, as in the authors' program, and k1/2 is rounded
    half to even; in the mean the image itself is one of the k2. Equally near images are taken by position.
    The authors' program divides each row by its largest distance too; the paper does not say so.

    Args:
        query: float32 [Q, D], rows of unit length.
        gallery: float32 [N, D].
        k1: neighbours that define reciprocity.
        k2: neighbours that are averaged; 1 = none.
        weight: share of the original distance, 0 .. 1 (the paper's lambda).
        block_bytes: bytes for a block of similarities.

    Returns:
        float32 [Q, N], smaller is nearer. Peak memory: that, a copy of the embeddings, about `block_bytes`,
        and some kB for each of the M images (its neighbourhood, at worst k2 (k1 + 1)(k1/2 + 2) numbers),
        never M x M.

    Raises:
        ValueError: shapes do not fit, or a parameter is out of its range.
    """
    query, gallery = np.asarray(query, np.float32), np.asarray(gallery, np.float32)
    if query.ndim != 2 or gallery.ndim != 2 or query.shape[1] != gallery.shape[1]:
        raise ValueError(
            f"query has shape {query.shape}, gallery {gallery.shape}; expected [Q, D] and [N, D]. "
            "Extract both with one network."
        )
    if k1 < 1 or k2 < 1 or not 0 <= weight <= 1:
        raise ValueError(
            f"k1 is {k1}, k2 is {k2}, weight is {weight}; expected 1 or more, 1 or more, and 0 .. 1."
        )
    features = np.concatenate([query, gallery])
    neighbours, largest = _nearest(features, max(k1 + 1, k2), block_bytes)
    wide = _reciprocal(neighbours[:, : k1 + 1])
    half = _reciprocal(neighbours[:, : round(k1 / 2) + 1])
    shared = (wide @ half.T).multiply(wide)  # |R(j, k1/2) and R(i, k1)| for j in R(i, k1)
    size = np.asarray(half.sum(axis=1)).reshape(-1)
    shared = sparse.coo_array(shared)
    joins = 3 * shared.data > 2 * size[shared.coords[1]]
    joining = sparse.csr_array(
        (np.ones(joins.sum(), np.int32), (shared.coords[0][joins], shared.coords[1][joins])), wide.shape
    )
    expanded = sparse.coo_array(wide + joining @ half)
    soft = _soft_neighbours(features, expanded, largest, block_bytes)
    if k2 > 1:
        nearest = min(k2, neighbours.shape[1])
        mean = _indicator(neighbours[:, :nearest], len(features)) * np.float32(1 / nearest)
        soft = sparse.csr_array(mean.astype(np.float32) @ soft)
    result = np.empty((len(query), len(gallery)), np.float32)
    by_image = sparse.csc_array(soft[len(query) :])
    for rows in _blocks(len(query), 16 * len(gallery), block_bytes):
        jaccard = 1 - _overlap(soft[rows], by_image, len(gallery), block_bytes)
        far = _squared(features, rows, gallery) / largest[rows, None]
        result[rows] = (1 - weight) * jaccard + weight * far
    return result


def _blocks(number, bytes_each, block_bytes):
    rows = max(1, int(block_bytes) // max(1, bytes_each))
    return [slice(start, min(start + rows, number)) for start in range(0, number, rows)]


def _squared(features, rows, others):
    """Squared distances of unit vectors, never negative."""
    return np.maximum(2 - 2 * (features[rows] @ others.T), 0)


def _nearest(features, number, block_bytes):
    """(int64 [M, number] nearest images, itself first, then by distance; float32 [M] largest distance)."""
    images = len(features)
    number = min(number, images)
    neighbours = np.empty((images, number), np.int64)
    largest = np.empty(images, np.float32)
    for rows in _blocks(images, 20 * images, block_bytes):
        distances = _squared(features, rows, features)
        largest[rows] = np.maximum(distances.max(axis=1), np.finfo(np.float32).tiny)
        inside = np.arange(rows.start, rows.stop)
        # Not by its distance, which rounding may leave above that of a copy.
        distances[np.arange(len(inside)), inside] = -1
        last = np.partition(distances, number - 1, axis=1)[:, number - 1 :][:, :1]
        # Of several at the last distance the first ones: all that are nearer, then these by position.
        taken = distances < last
        room = number - taken.sum(axis=1, keepdims=True)
        equal = distances == last
        taken |= equal & (np.cumsum(equal, axis=1, dtype=np.int32) <= room)
        found = np.nonzero(taken)[1].reshape(len(inside), number)
        order = np.argsort(np.take_along_axis(distances, found, axis=1), axis=1, kind="stable")
        neighbours[rows] = np.take_along_axis(found, order, axis=1)
    return neighbours, largest


def _indicator(columns, width):
    """int32 [M, width], 1 at the given `columns` [M, k] of each row."""
    rows, each = columns.shape
    return sparse.csr_array(
        (np.ones(columns.size, np.int32), columns.reshape(-1), np.arange(rows + 1) * each), (rows, width)
    )


def _reciprocal(neighbours):
    near = _indicator(neighbours, len(neighbours))
    return sparse.csr_array(near.multiply(near.T))


def _soft_neighbours(features, pattern, largest, block_bytes):
    """float32 [M, M]: exp(-d) where `pattern` is not 0, rows summing to 1."""
    rows, columns = pattern.coords
    values = np.empty(len(rows), np.float32)
    for block in _blocks(len(rows), 12 * features.shape[1], block_bytes):
        similarity = np.einsum("nd,nd->n", features[rows[block]], features[columns[block]])
        values[block] = np.exp(-np.maximum(2 - 2 * similarity, 0) / largest[rows[block]])
    soft = sparse.csr_array((values, (rows, columns)), pattern.shape)
    total = np.asarray(soft.sum(axis=1)).reshape(-1)
    return sparse.csr_array(sparse.diags_array(1 / total) @ soft).astype(np.float32)


def _overlap(soft, by_image, number, block_bytes):
    """float32 [q, N]: sum of minima over sum of maxima of two rows that each sum to 1.

    Only columns that both rows have add to the minima. Every value of a query row meets its column of the
    gallery, which is laid out beside it; the minima are then added up by (query, gallery image).
    """
    minima = np.zeros((soft.shape[0], number), np.float64)
    lengths = np.diff(by_image.indptr)[soft.indices]
    # Rows of queries whose expansion fits; their values lie between two ends of the running length.
    ends = np.concatenate([[0], np.cumsum(lengths)])[soft.indptr]
    limit = max(1, int(block_bytes) // 64)
    start = 0
    while start < soft.shape[0]:
        stop = max(start + 1, int(np.searchsorted(ends, ends[start] + limit, side="right")) - 1)
        values = slice(soft.indptr[start], soft.indptr[stop])
        each = lengths[values]
        total = int(each.sum())
        owner = np.repeat(np.arange(values.stop - values.start), each)
        inside = np.arange(total) - np.repeat(np.cumsum(each) - each, each)
        place = by_image.indptr[soft.indices[values]][owner] + inside
        smaller = np.minimum(soft.data[values][owner], by_image.data[place])
        row = np.repeat(np.arange(stop - start), np.diff(soft.indptr[start : stop + 1]))[owner]
        sums = np.bincount(row * number + by_image.indices[place], smaller, (stop - start) * number)
        minima[start:stop] = sums.reshape(-1, number)
        start = stop
    return (minima / (2 - minima)).astype(np.float32)
