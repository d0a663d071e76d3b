"""CAJ's channel exchange (Ye et al., 2021): one colour channel of a visible image stands for all three.

What is left looks like an infrared image: brightness alone, and one that hangs on the colour.
"""

from dataclasses import dataclass

from mmgl_tf.pipelines.augmentation.operation import Operation


@dataclass(frozen=True)
class ChannelExchange(Operation):
    """Copies one of the three channels, each as likely, to the other two. It always happens.

    It acts on the normalised image, as in the released code, so the result keeps the mean and the deviation
    that normalisation gave the chosen channel. A box that was erased before gets the one value, too.
    """

    draws = 1
    finishing = True

    def plan(self, draws, source, view):
        """int [n]: the channel that is copied."""
        return (3 * draws[:, 0]).astype(int)

    def finish(self, image, plan, row, order):
        """In place; where the stripes are does not matter."""
        copy_channel(image, plan[row])


def copy_channel(image, channel):
    """One channel in place of all three.

    Args:
        image: float32 [H, W, 3], changed in place.
        channel: 0 to 2.
    """
    # A copy, as the source lies within what is written.
    image[:] = image[:, :, channel, None].copy()
