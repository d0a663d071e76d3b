"""Images as lightness, and their colour at some pixels as target: the colorization task."""

import numpy as np

from mmgl_tf.pipelines.augmentation.lab import lab_of, lightness_of
from mmgl_tf.pipelines.decode import MEAN, STD
from mmgl_tf.pipelines.layouts.layout import TargetSpec, WholeLayout
from mmgl_tf.pipelines.records import VISIBLE


class LightnessLayout(WholeLayout):
    """Shows (L / 100 - mean) / deviation on three channels; see `WholeLayout` and `recipe.LabColour`.

    The lightness is normalised as an image of three equal channels would be, so that the stems stay in the
    range that they get in fine-tuning.
    """

    def __init__(self, description, size):
        super().__init__(description, size)
        self._every = description.every
        places = tuple(-(-length // self._every) for length in size)
        self.targets = {"ab": TargetSpec((*places, 2), np.float32, modalities=(VISIBLE,))}

    def write(self, pixels, plan, row, out, targets, memory):
        """Lays an image's lightness into its row, and its colour into the target."""
        lightness = lightness_of(pixels)[:, :, None] * np.float32(0.01)
        np.divide(lightness - np.float32(MEAN), np.float32(STD), out=out)
        if "ab" in targets:
            some = np.ascontiguousarray(pixels[:: self._every, :: self._every])
            targets["ab"][row] = lab_of(some)[..., 1:]
