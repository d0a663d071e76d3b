"""Random erasing (Zhong et al. 2020): a box of the normalised image becomes one colour."""

from dataclasses import dataclass

import numpy as np

from mmgl_tf.pipelines.augmentation.operation import Operation

ERASE_TRIES = 8


@dataclass(frozen=True)
class Erase(Operation):
    """Erases a box of random size, aspect and place.

    Attributes:
        probability: odds that an image is erased at all; with 0 its numbers are drawn all the same.
        min_area: smallest share of the image's area.
        max_area: largest share.
        min_aspect: smallest height/width.
        max_aspect: largest; 0 = the inverse of the smallest.
        tries: sizes that are tried until one fits into the image.
        fill: red, green and blue of the box, in normalised units; 0 is the data's mean.

    Raises:
        ValueError: an empty range of areas or aspects, or no try.
    """

    probability: float
    min_area: float
    max_area: float
    min_aspect: float
    max_aspect: float = 0.0
    tries: int = ERASE_TRIES
    fill: tuple[float, float, float] = (0.0, 0.0, 0.0)

    finishing = True

    def __post_init__(self):
        if self.max_aspect and self.min_aspect > self.max_aspect:
            raise ValueError(
                f"--erase_min_aspect={self.min_aspect} is above --erase_max_aspect={self.max_aspect}; "
                "expected min <= max. Lower the one or raise the other, or give 0 for the inverse of min."
            )
        if self.tries < 1:
            raise ValueError(f"--erase_tries={self.tries}: expected at least 1.")
        if self.min_area > self.max_area:
            raise ValueError(
                f"--erase_min_area={self.min_area} is above --erase_max_area={self.max_area}; expected "
                "min <= max. Lower the one or raise the other."
            )

    @property
    def draws(self):
        """Uniform numbers that an image needs."""
        return 1 + 4 * self.tries

    def plan(self, draws, source, view):
        """See `plan_erasing`."""
        sizes = (self.min_area, self.max_area, self.min_aspect)
        return plan_erasing(draws, self.probability, *sizes, *source, self.max_aspect)

    def finish(self, image, plan, row, order):
        """See `erase_shuffled`."""
        erase_shuffled(image, plan[row], order, self.fill)


def plan_erasing(
    draws: np.ndarray,
    probability: float,
    min_area: float,
    max_area: float,
    min_aspect: float,
    image_height: int,
    image_width: int,
    max_aspect: float = 0.0,
) -> np.ndarray:
    """Turns uniform numbers into the boxes of random erasing.

    Area share and height/width are uniform (the published code's choice; a log-uniform aspect would make
    flat boxes more frequent), and the first try that fits is taken; where none does, nothing is erased. Eight
    tries are the default, as the published hundred would need 400 draws per image: at 288x144 and the
    published settings one of eight fitted in each of 10**6 images.

    torchvision's operation up to 0.5, MPANet's, is that of ten tries, aspects 0.3 to 3.3 and areas 0.02 to
    0.33. Later ones draw the logarithm of the aspect.

    Args:
        draws: float64 [n, 1 + 4 tries] in (0, 1).
        probability: odds that an image is erased at all.
        min_area: smallest share of the image's area.
        max_area: largest share.
        min_aspect: smallest height/width.
        image_height: rows, H.
        image_width: columns, W.
        max_aspect: largest height/width; 0 = the inverse of the smallest.

    Returns:
        int64 [n, 4]: top, left, height, width of each box; all 0 where nothing is erased.
    """
    tries = draws[:, 1:].reshape(len(draws), -1, 4)
    area = (min_area + tries[:, :, 0] * (max_area - min_area)) * image_height * image_width
    aspect = min_aspect + tries[:, :, 1] * ((max_aspect or 1.0 / min_aspect) - min_aspect)
    height = np.rint(np.sqrt(area * aspect)).astype(np.int64)
    width = np.rint(np.sqrt(area / aspect)).astype(np.int64)
    fits = (height < image_height) & (width < image_width)
    top = (tries[:, :, 2] * (image_height - height + 1)).astype(np.int64)
    left = (tries[:, :, 3] * (image_width - width + 1)).astype(np.int64)
    boxes = np.stack((top, left, height, width), axis=-1)
    chosen = boxes[np.arange(len(draws)), fits.argmax(axis=1)]
    erased = (draws[:, 0] < probability) & fits.any(axis=1)
    return np.where(erased[:, None], chosen, 0)


def erase_shuffled(
    shuffled: np.ndarray, box: np.ndarray, order: np.ndarray, fill: tuple[float, ...] = (0.0, 0.0, 0.0)
) -> None:
    """Erases a box of the original image from its shuffled stripes, in place.

    The box belongs to the picture of the person, so stripes carry their parts of it along.

    Args:
        shuffled: float32 [H, W, 3], normalised; slot i shows stripe order[i].
        box: int64 [4], a row of `plan_erasing`, in the coordinates of the unshuffled image.
        order: integers [N], N divides H.
        fill: as in `Erase`.
    """
    top, left, height, width = box.tolist()
    if height == 0 or width == 0:
        return
    rows = len(shuffled) // len(order)
    for slot, stripe in enumerate(order.tolist()):
        first = max(top, stripe * rows)
        end = min(top + height, (stripe + 1) * rows)
        if first < end:
            move = (slot - stripe) * rows
            shuffled[first + move : end + move, left : left + width] = fill
