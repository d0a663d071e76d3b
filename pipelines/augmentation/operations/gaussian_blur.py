"""Blurs an image with a Gaussian of random width, at random (SimCLR: Chen et al. 2020, appendix A)."""

import math
from dataclasses import dataclass

import cv2
import numpy as np

from mmgl_tf.pipelines.augmentation.operation import Operation

# Beyond five deviations lies less than a millionth of a Gaussian.
_REACH = 5.0


@dataclass(frozen=True)
class GaussianBlur(Operation):
    """A blur of random width.

    The kernel is as in SimCLR: about a tenth of the image's height, an odd number of taps, divided by its
    sum. At the border the image is mirrored about its outermost pixels, as torchvision has it.

    Attributes:
        probability: odds of it.
        min_sigma: smallest deviation, in pixels.
        max_sigma: largest deviation; between them it is uniform.

    Raises:
        ValueError: an empty range, or one that reaches 0.
    """

    probability: float
    min_sigma: float = 0.1
    max_sigma: float = 2.0

    draws = 2

    def __post_init__(self):
        if not 0.0 < self.min_sigma <= self.max_sigma:
            raise ValueError(
                f"GaussianBlur got min_sigma={self.min_sigma} and max_sigma={self.max_sigma}; expected "
                "0 < min <= max. Lower the one or raise the other."
            )

    def plan(self, draws, source, view):
        """float64 [n]: the deviations; 0 for images that stay as they are."""
        sigmas = self.min_sigma + draws[:, 1] * (self.max_sigma - self.min_sigma)
        return np.where(draws[:, 0] < self.probability, sigmas, 0.0)

    def act(self, image, plan, row, memory):
        """See `blur`."""
        sigma = float(plan[row])
        if sigma == 0.0:
            return image
        out = memory.other(image)
        blur(image, sigma, out)
        return out


def blur(image: np.ndarray, sigma: float, out: np.ndarray) -> None:
    """Convolves both axes with exp(-x^2 / (2 sigma^2)), |x| <= H / 20, divided by its sum.

    Args:
        image: uint8 [H, W, C], C = 1 or 3.
        sigma: deviation, in pixels, above 0.
        out: uint8 [H, W, C], another array; receives the result.
    """
    reach = min(math.ceil(_REACH * sigma), max(1, len(image) // 20))
    squares = np.arange(-reach, reach + 1, dtype=np.float64) ** 2
    kernel = np.exp(squares / (-2.0 * sigma * sigma))
    kernel = (kernel / kernel.sum()).astype(np.float32)
    cv2.sepFilter2D(image, -1, kernel, kernel, dst=out, borderType=cv2.BORDER_REFLECT_101)
