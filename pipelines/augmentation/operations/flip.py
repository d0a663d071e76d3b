"""Mirrors an image left to right, at random."""

from dataclasses import dataclass

import cv2

from mmgl_tf.pipelines.augmentation.operation import Operation


@dataclass(frozen=True)
class Flip(Operation):
    """A mirror image at random.

    Attributes:
        probability: odds of it.
    """

    probability: float

    draws = 1

    def plan(self, draws, source, view):
        """bool [n]: which images are mirrored."""
        return draws[:, 0] < self.probability

    def act(self, image, plan, row, memory):
        """See `cv2.flip`."""
        if not plan[row]:
            return image
        out = memory.other(image)
        cv2.flip(image, 1, dst=out)
        return out
