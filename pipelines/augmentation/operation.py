"""What an operation on a training image is: drawn for a whole batch, then carried out image by image."""

import numpy as np

from mmgl_tf.pipelines.augmentation.working_memory import WorkingMemory

Size = tuple[int, int]  # rows, columns


class Operation:
    """Base of the operations that a view's chain is made of.

    An operation is a frozen dataclass of its settings and nothing else, so that a recipe is data that can be
    compared and printed. Decisions are pure functions of uniform numbers; what is carried out depends on
    the image and the decisions alone.

    Attributes:
        draws: uniform numbers that an image needs. They do not depend on what is decided, so that another
            probability moves no other draw.
        finishing: False for an operation on pixels, see `act`; True for one on the normalised image in its
            place in the batch, see `finish`. The latter come after all of the former, wherever they stand in
            a chain.
    """

    draws = 0
    finishing = False

    def output_size(self, source: Size, view: Size) -> Size:
        """The size of the result.

        Args:
            source: size of the image that comes in.
            view: size that the view is to have.
        """
        return source

    def plan(self, draws: np.ndarray, source: Size, view: Size):
        """Turns uniform numbers into decisions.

        Args:
            draws: float64 [n, self.draws], strictly between 0 and 1.
            source: size of the images that come in.
            view: size that the view is to have.

        Returns:
            Whatever `act` or `finish` understands, for n images.
        """
        raise NotImplementedError

    def act(self, image: np.ndarray, plan, row: int, memory: WorkingMemory) -> np.ndarray:
        """Carries out one image's part of a plan.

        Args:
            image: uint8 [H, W, C], C = 1 (three equal channels, of which one is kept) or 3; not changed.
            plan: of `plan`.
            row: which image of the plan.
            memory: arrays to work in; `memory.other(image)` is where a result may go.

        Returns:
            uint8 [H', W', C], or [H', W', 1] once the three channels are equal; `image` itself where nothing
            happens. The last operation on pixels may return float32 in 0..255 instead.
        """
        raise NotImplementedError

    def finish(self, image: np.ndarray, plan, row: int, order: np.ndarray) -> None:
        """Carries out one image's part of a plan on the normalised image, in place.

        Args:
            image: float32 [H, W, 3], normalised, in shuffled stripes.
            plan: of `plan`.
            row: which image of the plan.
            order: integers [N], slot i of `image` shows stripe order[i]; [0] if it is not shuffled.
        """
        raise NotImplementedError
