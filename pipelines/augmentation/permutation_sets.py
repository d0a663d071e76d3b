"""The permutations that a jigsaw network tells apart: few of all, as far from each other as can be.

Legend: K permutations, T tiles. A row's entry k says which tile slot k shows.
"""

import itertools
import math

import numpy as np

from mmgl_tf.pipelines.random_plan import philox

MAX_TILES = 9
# Fourth word of the counter, where training's draws have their stream (below 1000): numbers of our own.
_STREAM = 1 << 20


def permutation_set(num_tiles: int, size: int, seed: int = 0) -> np.ndarray:
    """Picks permutations of tiles one by one, each as far as possible from those picked before.

    Far is first the smallest Hamming distance to a picked one (in how many slots they differ), then the mean
    distance; what still ties is drawn. Noroozi and Favaro (2016) go by the mean, which leaves pairs that
    differ in two slots: two classes that look nearly the same.

    All of them, `size` = T!, come in lexicographic order.

    Args:
        num_tiles: T, 2 to 9: 4 for 2x2, 9 for 3x3.
        size: K, 1 to T!; seconds for 1000 of 9!.
        seed: at least 0; equal arguments give equal sets everywhere.

    Returns:
        int32 [K, T], different permutations of 0..T-1; a row's number is its class.

    Raises:
        ValueError: too many tiles, or more permutations than there are.
    """
    if not 2 <= num_tiles <= MAX_TILES:
        raise ValueError(
            f"permutation_set got {num_tiles} tiles; expected 2 to {MAX_TILES}, such as 4 (2x2) or 9 (3x3)."
        )
    total = math.factorial(num_tiles)
    if not 1 <= size <= total:
        raise ValueError(
            f"permutation_set got size={size}; expected 1 to {total}, the permutations of {num_tiles} tiles. "
            "Ask for fewer permutations."
        )
    every = itertools.chain.from_iterable(itertools.permutations(range(num_tiles)))
    candidates = np.fromiter(every, np.uint8, total * num_tiles).reshape(total, num_tiles)
    if size == total:
        return candidates.astype(np.int32)
    # Drawn order: the first is random, and so is which one of equally far ones is taken.
    candidates = candidates[_drawn_order(total, seed)]
    slots = np.ascontiguousarray(candidates.T)  # a slot's tiles side by side are compared all at once
    smallest = np.full(total, num_tiles + 1, np.uint8)
    sums = np.zeros(total, np.int32)
    picked = [0]
    while len(picked) < size:
        distances = np.zeros(total, np.uint8)
        for tiles in slots:
            distances += tiles != tiles[picked[-1]]
        np.minimum(smallest, distances, out=smallest)  # 0 for what is picked: no other has distance 0
        sums += distances
        far = np.flatnonzero(smallest == smallest.max())
        picked.append(int(far[sums[far].argmax()]))
    return candidates[picked].astype(np.int32)


def hamming_distances(permutations: np.ndarray) -> np.ndarray:
    """In how many slots each pair of permutations differs.

    Args:
        permutations: integers [K, T], K at least 2.

    Returns:
        int64 [K (K - 1) / 2], in 2..T for different permutations.
    """
    permutations = np.asarray(permutations)
    first, second = np.triu_indices(len(permutations), 1)
    return (permutations[first] != permutations[second]).sum(axis=1)


def _drawn_order(length, seed):
    words = philox((np.arange(length), 0, 0, _STREAM), (seed & 0xFFFFFFFF, seed >> 32))
    return np.argsort((words[:, 0] << np.uint64(32)) | words[:, 1], kind="stable")
