"""A random part of the image at the view's size: the rule of torchvision's `RandomResizedCrop`."""

import math
from dataclasses import dataclass

import numpy as np

from mmgl_tf.pipelines.augmentation.operation import Operation
from mmgl_tf.pipelines.augmentation.resize import resize

CROP_TRIES = 10
DRAWS_PER_RESIZED_CROP = 2 * CROP_TRIES + 2


@dataclass(frozen=True)
class ResizedCrop(Operation):
    """Cuts out a part of random area, shape and place, and resizes it to the view.

    Attributes:
        min_scale: smallest share of the image's area.
        max_scale: largest share.
        min_ratio: smallest width/height of the part.
        max_ratio: largest width/height.

    Raises:
        ValueError: an empty range of shares or shapes, or one that reaches 0.
    """

    min_scale: float
    max_scale: float
    min_ratio: float
    max_ratio: float

    draws = DRAWS_PER_RESIZED_CROP

    def __post_init__(self):
        for what in ("scale", "ratio"):
            low, high = getattr(self, f"min_{what}"), getattr(self, f"max_{what}")
            if not 0.0 < low <= high:
                raise ValueError(
                    f"ResizedCrop got min_{what}={low} and max_{what}={high}; expected 0 < min <= max. Lower "
                    "the one or raise the other."
                )

    def output_size(self, source, view):
        """That of the view."""
        return view

    def plan(self, draws, source, view):
        """See `plan_resized_crop`; beside the boxes, the size of the view."""
        scale, ratio = (self.min_scale, self.max_scale), (self.min_ratio, self.max_ratio)
        return plan_resized_crop(draws, scale, ratio, *source), view

    def act(self, image, plan, row, memory):
        """The part of the image, resized with antialiasing as Pillow does it, see `resize`."""
        boxes, view = plan
        top, left, height, width = boxes[row].tolist()
        out = memory.other(image, (*view, image.shape[2]))
        resize(image[top : top + height, left : left + width], out, memory)
        return out


def plan_resized_crop(
    draws: np.ndarray,
    scale: tuple[float, float],
    ratio: tuple[float, float],
    image_height: int,
    image_width: int,
) -> np.ndarray:
    """Turns uniform numbers into the boxes of `RandomResizedCrop`.

    The area is uniform, the logarithm of width/height likewise; both sides are rounded to even. The first of
    ten tries that fits is put at a uniform place. If none fits, the box is the largest in the middle whose
    shape is within the range.

    Args:
        draws: float64 [n, DRAWS_PER_RESIZED_CROP] in (0, 1).
        scale: least and largest share of the image's area.
        ratio: least and largest width/height.
        image_height: rows, H.
        image_width: columns, W.

    Returns:
        int64 [n, 4]: top, left, height, width of each box.
    """
    tries = draws[:, : 2 * CROP_TRIES].reshape(len(draws), CROP_TRIES, 2)
    area = (scale[0] + tries[:, :, 0] * (scale[1] - scale[0])) * image_height * image_width
    low, high = math.log(ratio[0]), math.log(ratio[1])
    shape = np.exp(low + tries[:, :, 1] * (high - low))
    heights = np.rint(np.sqrt(area / shape)).astype(np.int64)
    widths = np.rint(np.sqrt(area * shape)).astype(np.int64)
    fits = (heights > 0) & (heights <= image_height) & (widths > 0) & (widths <= image_width)
    first = np.arange(len(draws)), fits.argmax(axis=1)
    height, width = heights[first], widths[first]
    top = (draws[:, -2] * (image_height - height + 1)).astype(np.int64)
    left = (draws[:, -1] * (image_width - width + 1)).astype(np.int64)
    boxes = np.stack((top, left, height, width), axis=-1)
    return np.where(fits.any(axis=1)[:, None], boxes, _middle(ratio, image_height, image_width))


def _middle(ratio, image_height, image_width):
    """The box where no try fits."""
    height, width = image_height, image_width
    if width < ratio[0] * height:
        height = min(height, max(1, round(width / ratio[0])))
    elif width > ratio[1] * height:
        width = min(width, max(1, round(height * ratio[1])))
    return np.array(((image_height - height) // 2, (image_width - width) // 2, height, width))
