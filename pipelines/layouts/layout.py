"""What a layout is, and the simplest one: the whole image, normalised."""

from dataclasses import dataclass

import numpy as np

from mmgl_tf.pipelines.augmentation.operation import Size
from mmgl_tf.pipelines.augmentation.working_memory import WorkingMemory
from mmgl_tf.pipelines.layouts.slot_writer import SlotWriter
from mmgl_tf.pipelines.random_plan import Draws

UNSHUFFLED = np.zeros(1, np.int32)  # one stripe: the whole image


@dataclass(frozen=True)
class TargetSpec:
    """A target's tensor.

    Attributes:
        row: shape of what belongs to one image.
        dtype: NumPy's.
        padding: what stands in rows that show no image.
        modalities: which images have the target.
    """

    row: tuple[int, ...]
    dtype: type
    padding: object = 0
    modalities: tuple[int, ...] = (0, 1)


class WholeLayout:
    """Normalises an image into its row. Base of the other layouts.

    Args:
        description: of the recipe; None here.
        size: (H, W) of the view.

    Attributes:
        row_shape: shape of an image's row in the view's tensor.
        targets: {name: TargetSpec} of the targets that the layout makes.
        keeps_places: False if operations on the normalised image cannot find their place in the layout.
    """

    keeps_places = True

    def __init__(self, description, size: Size):
        self.targets: dict[str, TargetSpec] = {}
        self.row_shape = (*size, 3)
        self._writer = SlotWriter(size[1])

    def plan(self, draws: dict[int, Draws], targets: dict[str, dict[int, np.ndarray]]):
        """Decides how each image is laid out, and fills in the targets that follow from that alone.

        Args:
            draws: the numbers of each modality's rows.
            targets: name -> modality -> the target's rows [n, ...].

        Returns:
            {modality: plan}, for `write` and `order`.
        """
        return dict.fromkeys(draws)

    def order(self, plan, row: int) -> np.ndarray:
        """The order of stripes in a row; see `Operation.finish`."""
        return UNSHUFFLED

    def write(self, pixels, plan, row: int, out: np.ndarray, targets, memory: WorkingMemory) -> None:
        """Lays an image into its row, and fills in the targets that follow from its pixels.

        Args:
            pixels: uint8 or float32 [H, W, C] in 0..255, C = 1 or 3.
            plan: of the image's modality.
            row: which image of the plan.
            out: the view's row, receives the result.
            targets: name -> the target's rows of this modality [n, ...].
            memory: the calling thread's.
        """
        self._writer.write(pixels, self.order(plan, row), out, memory)
