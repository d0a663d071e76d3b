"""Inverts the bright values of an image, at random, as `PIL.ImageOps.solarize`."""

from dataclasses import dataclass

from mmgl_tf.pipelines.augmentation import pixel_operations as pixels
from mmgl_tf.pipelines.augmentation.operation import Operation


@dataclass(frozen=True)
class Solarise(Operation):
    """v becomes 255 - v where it is at least the threshold.

    Attributes:
        probability: odds of it.
        threshold: 0 to 256; 128 is Pillow's default and what BYOL and Barlow Twins have.
    """

    probability: float
    threshold: int = 128

    draws = 1

    def plan(self, draws, source, view):
        """bool [n]: which images are solarised."""
        return draws[:, 0] < self.probability

    def act(self, image, plan, row, memory):
        """See `pixel_operations.solarize`."""
        if not plan[row]:
            return image
        out = memory.other(image)
        pixels.solarize(image, self.threshold, out)
        return out
