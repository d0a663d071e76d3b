"""Pad, crop to the old size and flip left to right: the baselines' way to move a person about."""

from dataclasses import dataclass

import cv2
import numpy as np

from mmgl_tf.pipelines.augmentation.operation import Operation

DRAWS_PER_CROP = 3


@dataclass(frozen=True)
class PadCropFlip(Operation):
    """Pads with one grey level, cuts the old size out at a random place, and mirrors at random.

    Attributes:
        pad_pixels: pixels of padding on each side.
        flip_probability: odds of a mirror image.
        pad_value: what they are in all channels, 0 (black) to 255.
    """

    pad_pixels: int
    flip_probability: float
    pad_value: int = 0

    draws = DRAWS_PER_CROP

    def plan(self, draws, source, view):
        """See `plan_crop_flip`."""
        return plan_crop_flip(draws, self.pad_pixels, self.flip_probability)

    def act(self, image, plan, row, memory):
        """See `crop_flip`."""
        out = memory.other(image)
        crop_flip(image, plan, row, self.pad_pixels, out, self.pad_value)
        return out


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
        pad_pixels: pixels of padding on each side before the crop of the original size.
        flip_probability: odds of a mirror image.

    Returns:
        The plan of the n images.
    """
    places = (draws[:, :2] * (2 * pad_pixels + 1)).astype(np.int64)
    return CropPlan(places[:, 0], places[:, 1], draws[:, 2] < flip_probability)


def crop_flip(
    image: np.ndarray, plan: CropPlan, row: int, pad_pixels: int, out: np.ndarray, pad_value: int = 0
) -> None:
    """Carries out one image's part of a plan.

    Args:
        image: uint8 [H, W, C].
        plan: decisions of the batch.
        row: which image of the plan.
        pad_pixels: as given to `plan_crop_flip`.
        out: uint8 [H, W, C], another array; receives the result.
        pad_value: of the padding, 0 to 255.
    """
    height, width, _ = image.shape
    down, right = int(plan.down[row]) - pad_pixels, int(plan.right[row]) - pad_pixels
    top, left = max(0, -down), max(0, -right)
    rows, columns = height - abs(down), width - abs(right)
    out[:] = pad_value
    if rows <= 0 or columns <= 0:
        return
    source = image[max(0, down) :, max(0, right) :][:rows, :columns]
    if plan.flip[row]:
        left = width - left - columns
        source = cv2.flip(source, 1).reshape(source.shape)
    out[top : top + rows, left : left + columns] = source
