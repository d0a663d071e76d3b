"""Random draws that depend on what is drawn and on nothing else."""

import functools
import zlib
from statistics import NormalDist

import numpy as np

_NORMAL = NormalDist()
_BLOCK = 64


def generator(seed, kind, *numbers):
    """A NumPy generator keyed by (seed, kind, numbers), so that any draw can be made alone and in any order.

    Args:
        seed: world seed, at least 0.
        kind: what is drawn, e.g. "person"; different kinds never share draws.
        *numbers: identity, camera, frame and the like, each at least 0.

    Returns:
        A `numpy.random.Generator` over the counter-based Philox bit generator.
    """
    key = (seed, zlib.crc32(kind.encode()), *numbers)
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(key)))


class Dice:
    """Scalar draws from one keyed stream of uniform numbers.

    Only uniform doubles are taken from NumPy, in blocks: the stream does not depend on NumPy's algorithms for
    other distributions, and a scalar draw costs a fraction of a call into NumPy.
    """

    def __init__(self, seed, kind, *numbers):
        self._generator = generator(seed, kind, *numbers)
        self._block = iter(())

    def uniform(self, low=0.0, high=1.0):
        """A number in [low, high)."""
        value = next(self._block, None)
        if value is None:
            self._block = iter(self._generator.random(_BLOCK).tolist())
            value = next(self._block)
        return low + (high - low) * value

    def normal(self, mean=0.0, sd=1.0):
        """A normal number, cut at 3 standard deviations."""
        return mean + sd * max(-3.0, min(3.0, _NORMAL.inv_cdf(self.uniform(1e-9, 1.0))))

    def chance(self, probability):
        """True with this probability."""
        return self.uniform() < probability

    def sign(self):
        """-1 or 1."""
        return -1 if self.uniform() < 0.5 else 1

    def below(self, number):
        """An integer in 0 .. number - 1."""
        return int(self.uniform() * number)

    def pick(self, weights):
        """A key of a dict of weights (which need not add up to one)."""
        left = self.uniform() * sum(weights.values())
        for key, weight in weights.items():
            left -= weight
            if left < 0:
                return key
        return key


def smooth_noise(rng, height, width, cell_y, cell_x):
    """Tileable noise of about zero mean and unit spread, smooth over (cell_y, cell_x) pixels.

    Args:
        rng: a NumPy generator.
        height, width: size in pixels.
        cell_y, cell_x: correlation length in pixels.

    Returns:
        float32 [height, width].
    """
    spectrum = np.fft.rfft2(rng.standard_normal((height, width)))
    fy = np.fft.fftfreq(height)[:, None] * cell_y
    fx = np.fft.rfftfreq(width)[None, :] * cell_x
    field = np.fft.irfft2(spectrum * np.exp(-4.0 * (fy * fy + fx * fx)), s=(height, width))
    return (field / field.std()).astype(np.float32)


@functools.lru_cache(maxsize=4)
def noise_banks(seed, height):
    """Noise that images cut their grain and folds from: anew it would cost more than the figure.

    Args:
        seed: world seed.
        height: image height in pixels; the folds scale with it.

    Returns:
        (grain float32 [2h, 2h, 3], folds float32 [2h, 2h], camouflage float32 [128, 128]), unit spread each.
    """
    size = 2 * height
    scale = height / 192
    grain = generator(seed, "grain").standard_normal((size, size, 3), dtype=np.float32)
    rng = generator(seed, "folds")
    folds = smooth_noise(rng, size, size, 14 * scale, 5 * scale) + 0.7 * smooth_noise(
        rng, size, size, 5 * scale, 9 * scale
    )
    camouflage = smooth_noise(generator(seed, "camouflage"), 128, 128, 9, 9)
    return grain, np.clip(folds / 1.22, -2.5, 2.5), camouflage
