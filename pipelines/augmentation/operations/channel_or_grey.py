"""CAJ's change of infrared images (Ye et al., 2021): one channel for all three, their grey level, or neither.

The three channels of an infrared image are equal until they are normalised, each by a mean and a deviation of
its own. So this changes how bright the image is, and its contrast.
"""

from dataclasses import dataclass

import numpy as np

from mmgl_tf.pipelines.augmentation.operation import Operation
from mmgl_tf.pipelines.augmentation.operations.channel_exchange import copy_channel

# Luma as the released code rounds it; it is taken of normalised values.
LUMA = (0.2989, 0.5870, 0.1140)
# Decisions beside the channels 0 to 2.
GREY, KEPT = 3, 4


@dataclass(frozen=True)
class ChannelOrGrey(Operation):
    """Of four equally likely cases, three copy a channel to the other two; the fourth may make it grey.

        grey = 0.2989 R + 0.5870 G + 0.1140 B,   of the normalised channels, in all three

    Attributes:
        grey_probability: odds, in the fourth case, that the image becomes grey; else it stays as it is.
    """

    grey_probability: float = 0.5

    draws = 2
    finishing = True

    def plan(self, draws, source, view):
        """int [n]: the channel that is copied, `GREY` or `KEPT`."""
        case = (4 * draws[:, 0]).astype(int)
        fourth = np.where(draws[:, 1] < self.grey_probability, GREY, KEPT)
        return np.where(case < 3, case, fourth)

    def finish(self, image, plan, row, order):
        """In place; where the stripes are does not matter."""
        decision = plan[row]
        if decision == GREY:
            image[:] = (image @ np.array(LUMA, image.dtype))[:, :, None]
        elif decision != KEPT:
            copy_channel(image, decision)
