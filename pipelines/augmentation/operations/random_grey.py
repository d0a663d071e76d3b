"""An image without its colours, at random."""

from dataclasses import dataclass

import numpy as np

from mmgl_tf.pipelines.augmentation.grey import grey_levels
from mmgl_tf.pipelines.augmentation.operation import Operation


@dataclass(frozen=True)
class RandomGrey(Operation):
    """Grey levels in place of colours, at random; the result then has one channel.

    Attributes:
        probability: odds of it.
    """

    probability: float

    draws = 1

    def plan(self, draws, source, view):
        """bool [n]: which images lose their colours."""
        return draws[:, 0] < self.probability

    def act(self, image, plan, row, memory):
        """See `grey_levels`."""
        if not plan[row] or image.shape[2] == 1:
            return image
        out = memory.other(image, (*image.shape[:2], 1))
        np.copyto(out, grey_levels(image, memory))
        return out
