"""Zero-pad and crop, horizontal flip, and random erasing (Zhong et al. 2020), planned per batch."""

from dataclasses import dataclass

import cv2
import numpy as np

DRAWS_PER_CROP = 3
ERASE_TRIES = 8
DRAWS_PER_ERASE = 1 + 4 * ERASE_TRIES


@dataclass(frozen=True)
class CropPlan:
    """Where each of n images is cut out of its padded self, and whether it is mirrored.

    Attributes:
        down: int64 [n], rows of the padded image above the crop, 0 to 2 * pad.
        right: int64 [n], columns to its left, 0 to 2 * pad.
        flip: bool [n].
    """

    down: np.ndarray
    right: np.ndarray
    flip: np.ndarray


def plan_crop_flip(draws: np.ndarray, pad_pixels: int, flip_probability: float) -> CropPlan:
    """Turns uniform numbers into crops and flips.

    Args:
        draws: float64 [n, 3] in (0, 1).
        pad_pixels: zeros on each side before the crop of the original size.
        flip_probability: odds of a mirror image.

    Returns:
        The plan of the n images.
    """
    places = (draws[:, :2] * (2 * pad_pixels + 1)).astype(np.int64)
    return CropPlan(places[:, 0], places[:, 1], draws[:, 2] < flip_probability)


def crop_flip(image: np.ndarray, plan: CropPlan, row: int, pad_pixels: int, out: np.ndarray) -> None:
    """Carries out one image's part of a plan.

    Args:
        image: uint8 [H, W, C].
        plan: decisions of the batch.
        row: which image of the plan.
        pad_pixels: as given to `plan_crop_flip`.
        out: uint8 [H, W, C], another array; receives the result.
    """
    height, width, _ = image.shape
    down, right = int(plan.down[row]) - pad_pixels, int(plan.right[row]) - pad_pixels
    top, left = max(0, -down), max(0, -right)
    rows, columns = height - abs(down), width - abs(right)
    out[:] = 0
    if rows <= 0 or columns <= 0:
        return
    source = image[max(0, down) :, max(0, right) :][:rows, :columns]
    if plan.flip[row]:
        left = width - left - columns
        source = cv2.flip(source, 1).reshape(source.shape)
    out[top : top + rows, left : left + columns] = source


def plan_erasing(
    draws: np.ndarray,
    probability: float,
    min_area: float,
    max_area: float,
    min_aspect: float,
    image_height: int,
    image_width: int,
) -> np.ndarray:
    """Turns uniform numbers into the boxes of random erasing.

    Area share and height/width are uniform (the published code's choice; a log-uniform aspect would make
    flat boxes more frequent), and the first of eight tries that fits is taken; the published hundred tries
    would need 400 draws per image. At 288x144 and the published settings one fitted in each of 10**6 images.

    Args:
        draws: float64 [n, DRAWS_PER_ERASE] in (0, 1).
        probability: odds that an image is erased at all.
        min_area: smallest share of the image's area.
        max_area: largest share.
        min_aspect: smallest height/width; the largest is its inverse.
        image_height: rows, H.
        image_width: columns, W.

    Returns:
        int64 [n, 4]: top, left, height, width of each box; all 0 where nothing is erased.
    """
    tries = draws[:, 1:].reshape(len(draws), ERASE_TRIES, 4)
    area = (min_area + tries[:, :, 0] * (max_area - min_area)) * image_height * image_width
    aspect = min_aspect + tries[:, :, 1] * (1.0 / min_aspect - min_aspect)
    height = np.rint(np.sqrt(area * aspect)).astype(np.int64)
    width = np.rint(np.sqrt(area / aspect)).astype(np.int64)
    fits = (height < image_height) & (width < image_width)
    top = (tries[:, :, 2] * (image_height - height + 1)).astype(np.int64)
    left = (tries[:, :, 3] * (image_width - width + 1)).astype(np.int64)
    boxes = np.stack((top, left, height, width), axis=-1)
    chosen = boxes[np.arange(len(draws)), fits.argmax(axis=1)]
    erased = (draws[:, 0] < probability) & fits.any(axis=1)
    return np.where(erased[:, None], chosen, 0)


def erase_shuffled(shuffled: np.ndarray, box: np.ndarray, order: np.ndarray) -> None:
    """Erases a box of the original image from its shuffled stripes, in place.

    The box belongs to the picture of the person, so stripes carry their parts of it along. The fill is 0,
    which after normalisation is the data's mean.

    Args:
        shuffled: float32 [H, W, 3], normalised; slot i shows stripe order[i].
        box: int64 [4], a row of `plan_erasing`, in the coordinates of the unshuffled image.
        order: integers [N], N divides H.
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
            shuffled[first + move : end + move, left : left + width] = 0.0
