import hashlib
import itertools
import math

import numpy as np
import pytest

from mmgl_tf.pipelines.augmentation.permutation_sets import hamming_distances, permutation_set


def slow_choice(num_tiles, picked):
    """Every permutation's smallest and summed distance to those picked, the best value of the pair."""
    best = (-1, -1)
    for candidate in itertools.permutations(range(num_tiles)):
        distances = [sum(a != b for a, b in zip(candidate, other, strict=True)) for other in picked]
        best = max(best, (min(distances), sum(distances)))
    return best


def by_mean_alone(num_tiles, size):
    """The set of Noroozi and Favaro's rule: the largest mean distance first."""
    candidates = np.array(list(itertools.permutations(range(num_tiles))), np.uint8)
    sums, picked = np.zeros(len(candidates)), [0]
    while len(picked) < size:
        sums += (candidates != candidates[picked[-1]]).sum(axis=1)
        sums[picked[-1]] = -np.inf
        picked.append(int(sums.argmax()))
    return candidates[picked]


@pytest.fixture(scope="module")
def default_set():
    return permutation_set(9, 64)


def test_every_pick_is_the_farthest_there_is():
    permutations = permutation_set(5, 12, seed=3)
    for count in range(1, 12):
        picked, new = permutations[:count], permutations[count]
        distances = (picked != new).sum(axis=1)
        assert (distances.min(), distances.sum()) == slow_choice(5, picked)


def test_sets_are_of_different_permutations(default_set):
    assert default_set.shape == (64, 9)
    assert default_set.dtype == np.int32
    np.testing.assert_array_equal(np.sort(default_set, axis=1), np.tile(np.arange(9), (64, 1)))
    assert len(np.unique(default_set, axis=0)) == 64


def test_no_two_of_the_default_look_alike(default_set):
    distances = hamming_distances(default_set)
    assert len(distances) == 64 * 63 / 2
    assert distances.min() == 7
    other = hamming_distances(by_mean_alone(9, 64))
    assert other.min() == 2
    assert distances.mean() == pytest.approx(other.mean(), abs=0.005)


def test_every_slot_shows_every_tile_about_as_often(default_set):
    counts = np.array([np.bincount(slot, minlength=9) for slot in default_set.T])
    assert counts.min() >= 5
    assert counts.max() <= 9


@pytest.mark.slow
def test_a_thousand_in_seconds():
    permutations = permutation_set(9, 1000)
    np.testing.assert_array_equal(permutations[:64], permutation_set(9, 64))
    assert len(np.unique(permutations, axis=0)) == 1000
    assert hamming_distances(permutations).min() == 5


def test_a_smaller_set_is_the_beginning_of_a_larger(default_set):
    np.testing.assert_array_equal(permutation_set(9, 5), default_set[:5])


@pytest.mark.parametrize("num_tiles", [2, 4])
def test_all_there_are_come_in_order(num_tiles):
    everything = permutation_set(num_tiles, math.factorial(num_tiles), seed=5)
    np.testing.assert_array_equal(everything, list(itertools.permutations(range(num_tiles))))


def test_the_seed_decides_and_nothing_else(default_set):
    np.testing.assert_array_equal(permutation_set(9, 64, seed=0), default_set)
    for seed in (1, 2**40):
        other = permutation_set(9, 64, seed=seed)
        assert (other[0] != default_set[0]).any()
        assert hamming_distances(other).min() >= 6
    # Fixed for good: runs that resume, and weights of a head, depend on the order of classes.
    digest = hashlib.sha256(np.ascontiguousarray(default_set, "<i4").tobytes()).hexdigest()
    assert digest[:16] == "9dc142f945042db1"


@pytest.mark.parametrize(
    ("num_tiles", "size", "what"),
    [
        (10, 64, "10 tiles; expected 2 to 9"),
        (1, 1, "1 tiles; expected 2 to 9"),
        (4, 25, "size=25; expected 1 to 24"),
        (9, 0, "size=0; expected 1 to 362880"),
    ],
)
def test_impossible_sets_are_refused(num_tiles, size, what):
    with pytest.raises(ValueError, match=what):
        permutation_set(num_tiles, size)


def test_distances_of_a_few_by_hand():
    np.testing.assert_array_equal(hamming_distances([(0, 1, 2), (0, 2, 1), (1, 2, 0)]), [2, 3, 2])
