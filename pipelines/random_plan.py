"""Random draws as a pure function of (seed, stream, epoch, position): no generator, hence no state to lose.

A batch asks for all its numbers in one vectorised call. Whatever the number of threads, the order of
the batches, or the step a run is resumed at, the same image of the same epoch gets the same numbers.
"""

import enum
from dataclasses import dataclass

import numpy as np

# Philox-4x32 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"), table 2.
_MULTIPLIERS = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
_KEY_STEPS = (0x9E3779B9, 0xBB67AE85)
_ROUNDS = 10
_WORD = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)


class Stream(enum.IntEnum):
    """What a draw is for. Two streams never share a number, so that a new kind of draw moves no old one."""

    VISIBLE_IMAGES = 0
    INFRARED_IMAGES = 1
    VISIBLE_STRIPES = 2
    INFRARED_STRIPES = 3
    VISIBLE_ORDER = 4
    INFRARED_ORDER = 5
    EVALUATION_STRIPES = 6
    IDENTITY_ORDER = 7
    VISIBLE_OF_IDENTITY = 8
    INFRARED_OF_IDENTITY = 9
    VISIBLE_TILES = 10
    INFRARED_TILES = 11
    EVALUATION_TILES = 12
    VISIBLE_HELD_OUT_ORDER = 13
    INFRARED_HELD_OUT_ORDER = 14


# Further views of an image draw from streams of their own, beyond all that are named above.
_FURTHER_VIEWS = 1 << 16


def view_stream(modality: int, number: int) -> int:
    """The stream that a view of a modality's images draws from.

    Args:
        modality: VISIBLE (0) or INFRARED (1).
        number: of the view among those of its modality; 0 is `VISIBLE_IMAGES` or `INFRARED_IMAGES`.

    Returns:
        A stream that no other view and nothing else draws from.

    Raises:
        ValueError: `number` is negative, or beyond what fits into the generator's 32-bit counter.
    """
    if not 0 <= number < _FURTHER_VIEWS:
        raise ValueError(f"stream is {number}; expected 0 to {_FURTHER_VIEWS - 1}.")
    images = (Stream.VISIBLE_IMAGES, Stream.INFRARED_IMAGES)[modality]
    return int(images) if number == 0 else _FURTHER_VIEWS + 2 * number + modality


def philox(counter, key) -> np.ndarray:
    """Philox-4x32-10: four random words for each counter, vectorised over lanes.

    Written here because NumPy's generator takes one key and one counter at a time, which costs more per
    image than all the arithmetic below costs per batch.

    Args:
        counter: four integers or integer arrays that broadcast together, each below 2**32.
        key: two integers or integer arrays, likewise.

    Returns:
        uint64 [..., 4], each value below 2**32.
    """
    words = np.broadcast_arrays(*(np.asarray(word, np.uint64) for word in (*counter, *key)))
    c0, c1, c2, c3, k0, k1 = words
    for number in range(_ROUNDS):
        p0 = c0 * _MULTIPLIERS[0]
        p1 = c2 * _MULTIPLIERS[1]
        step0, step1 = (np.uint64(number * step & 0xFFFFFFFF) for step in _KEY_STEPS)
        c0 = (p1 >> _HALF) ^ c1 ^ ((k0 + step0) & _WORD)
        c2 = (p0 >> _HALF) ^ c3 ^ ((k1 + step1) & _WORD)
        c1, c3 = p1 & _WORD, p0 & _WORD
    return np.stack((c0, c1, c2, c3), axis=-1)


def uniforms(seed, stream: int, epoch: int, positions, count: int) -> np.ndarray:
    """Uniform numbers, `count` for each position.

    Args:
        seed: the run's seed, 0 <= seed < 2**64; an integer array [n] gives each position its own.
        stream: what the numbers are for, a `Stream` or a `view_stream`.
        epoch: epoch number from 0.
        positions: integers [n], the places in the epoch's plan (not image numbers: an image that occurs
            twice in an epoch must not be augmented alike).
        count: numbers per position.

    Returns:
        float64 [n, count], each strictly between 0 and 1, with 32 random bits.
    """
    positions = np.asarray(positions, np.uint64)[:, None]
    blocks = np.arange(-(-count // 4), dtype=np.uint64)[None, :]
    words = philox((blocks, positions, epoch, int(stream)), _key(seed))
    # The half keeps the interval open at both ends: logarithms of these numbers are taken.
    return (words.reshape(len(positions), -1)[:, :count] + 0.5) * 2.0**-32


def orders(seed, stream: int, epoch: int, positions, length: int) -> np.ndarray:
    """Permutations of 0..length-1, uniform over all of them, one for each position.

    Args:
        seed: as in `uniforms`.
        stream: as in `uniforms`.
        epoch: as in `uniforms`.
        positions: integers [n].
        length: items to permute; short, so that equal 32-bit draws (odds length**2 / 2**33) do not matter.

    Returns:
        int32 [n, length].
    """
    draws = uniforms(seed, stream, epoch, positions, length)
    return np.argsort(draws, axis=1, kind="stable").astype(np.int32)


def shuffles(seed: int, stream: int, epoch: int, passes: int, length: int) -> np.ndarray:
    """Long permutations of 0..length-1 by sorting 64-bit draws: one for each pass over the data.

    Args:
        seed: as in `uniforms`.
        stream: as in `uniforms`.
        epoch: as in `uniforms`.
        passes: number of permutations.
        length: items to permute.

    Returns:
        int64 [passes, length].
    """
    passes = np.arange(passes, dtype=np.uint64)[:, None]
    items = np.arange(length, dtype=np.uint64)[None, :]
    words = philox((passes, items, epoch, int(stream)), _key(seed))
    return np.argsort((words[..., 0] << _HALF) | words[..., 1], axis=1, kind="stable")


@dataclass(frozen=True)
class Draws:
    """The random numbers of some rows of a batch.

    Attributes:
        seed: as in `uniforms`; held-out images have one each, made of their pixels.
        epoch: as in `uniforms`.
        positions: integers [n], one for each row, as in `uniforms`.
        held_out: whether the rows are of held-out images, whose targets have streams of their own.
    """

    seed: int | np.ndarray
    epoch: int
    positions: np.ndarray
    held_out: bool = False

    def __len__(self):
        return len(self.positions)

    def uniforms(self, stream: int, count: int) -> np.ndarray:
        """float64 [n, count], see `uniforms`."""
        return uniforms(self.seed, stream, self.epoch, self.positions, count)

    def orders(self, stream: int, length: int) -> np.ndarray:
        """int32 [n, length], see `orders`."""
        return orders(self.seed, stream, self.epoch, self.positions, length)


def _key(seed):
    seed = np.asarray(seed, np.uint64)
    if seed.ndim:
        seed = seed[:, None]
    return seed & _WORD, seed >> _HALF
