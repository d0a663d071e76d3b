"""A chain of operations: one draw for all of them, then each image through one after another."""

from collections.abc import Sequence

import numpy as np

from mmgl_tf.pipelines.augmentation.operation import Operation, Size
from mmgl_tf.pipelines.augmentation.working_memory import WorkingMemory


class Chain:
    """Operations on images of one size.

    The numbers of an image are dealt to the operations in the order of the chain, so that an operation at
    the end can be left out, or draw more, without another draw being moved.

    Args:
        operations: what happens, see `Operation`.
        source: size of the images that come in.
        view: size that the view is to have.

    Attributes:
        draws: uniform numbers that an image needs.
        finishes: whether something is left to do after normalisation.

    Raises:
        ValueError: the images come out in another size.
    """

    def __init__(self, operations: Sequence[Operation], source: Size, view: Size):
        self._on_pixels, self._finishing = [], []
        self._view = view
        first, size = 0, source
        for operation in operations:
            columns = slice(first, first + operation.draws)
            steps = self._finishing if operation.finishing else self._on_pixels
            steps.append((operation, columns, view if operation.finishing else size))
            first = columns.stop
            if not operation.finishing:
                size = operation.output_size(size, view)
        if size != view:
            raise ValueError(
                f"Images of {source} rows and columns come out of a chain as {size}, but its view is {view}. "
                "Begin the chain with an operation that resizes, such as ResizedCrop."
            )
        self.draws = first
        self.finishes = bool(self._finishing)

    def plan(self, draws: np.ndarray) -> "PlannedChain":
        """Decides everything for n images.

        Args:
            draws: float64 [n, self.draws] in (0, 1).
        """
        on_pixels, finishing = (
            [
                (operation, operation.plan(draws[:, columns], size, self._view))
                for operation, columns, size in part
            ]
            for part in (self._on_pixels, self._finishing)
        )
        return PlannedChain(on_pixels, finishing)


class PlannedChain:
    """A chain with its decisions for some images; made by `Chain.plan`."""

    def __init__(self, on_pixels, finishing):
        self._on_pixels, self._finishing = on_pixels, finishing

    def act(self, image: np.ndarray, row: int, memory: WorkingMemory) -> np.ndarray:
        """One image's pixels.

        Args:
            image: uint8 [H, W, C], C = 1 or 3; not changed.
            row: which image of the plan.
            memory: the calling thread's.

        Returns:
            uint8 or float32 [H', W', C] in 0..255.
        """
        for operation, plan in self._on_pixels:
            image = operation.act(image, plan, row, memory)
        return image

    def finish(self, image: np.ndarray, row: int, order: np.ndarray) -> None:
        """What is left to do once the image is normalised, in place; see `Operation.finish`."""
        for operation, plan in self._finishing:
            operation.finish(image, plan, row, order)
