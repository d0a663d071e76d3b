"""Images in shuffled stripes, and the order as target: MMGL's task."""

import numpy as np

from mmgl_tf.pipelines.augmentation.stripes import stripe_height
from mmgl_tf.pipelines.layouts.layout import TargetSpec, WholeLayout
from mmgl_tf.pipelines.random_plan import Stream

_STREAMS = (Stream.VISIBLE_STRIPES, Stream.INFRARED_STRIPES)


class StripeLayout(WholeLayout):
    """Shuffles stripes while it normalises; see `WholeLayout` and `recipe.Permutation`.

    Raises:
        ValueError: the stripes do not divide the view.
    """

    def __init__(self, description, size):
        super().__init__(description, size)
        stripe_height(size[0], description.num_stripes)
        self._number, self._shared = description.num_stripes, description.shared
        unshuffled = np.arange(self._number, dtype=np.int32)
        self.targets = {"permutation": TargetSpec((self._number,), np.int32, unshuffled)}

    def plan(self, draws, targets):
        """{modality: int32 [n, N]}, which is the target too."""
        first = min(draws)
        found = {}
        for modality, numbers in draws.items():
            if self._shared and modality != first:
                found[modality] = found[first]
            else:
                stream = Stream.EVALUATION_STRIPES if numbers.held_out else _STREAMS[modality]
                found[modality] = numbers.orders(stream, self._number)
            targets["permutation"][modality][:] = found[modality]
        return found

    def order(self, plan, row):
        """The image's order of stripes."""
        return plan[row]
