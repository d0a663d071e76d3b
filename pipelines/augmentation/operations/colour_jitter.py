"""Random brightness, contrast, saturation and hue in random order (torchvision's `ColorJitter` on Pillow)."""

import itertools
from dataclasses import dataclass

import cv2
import numpy as np

from mmgl_tf.pipelines.augmentation.grey import grey_levels, grey_levels_of
from mmgl_tf.pipelines.augmentation.hue import turn_hue
from mmgl_tf.pipelines.augmentation.operation import Operation
from mmgl_tf.pipelines.augmentation.working_memory import WorkingMemory

BRIGHTNESS, CONTRAST, SATURATION, HUE = range(4)
ORDERS = np.array(list(itertools.permutations(range(4))))
DRAWS_PER_JITTER = 6


@dataclass(frozen=True)
class ColourJitter(Operation):
    """Changes of colour by random factors, one after another in a random order.

    An image of one channel has neither saturation nor hue to change. A change whose setting is 0 is left out,
    as torchvision does: hue would lose levels even when turned by nothing.

    Attributes:
        probability: odds that an image is changed at all.
        brightness: factors are uniform from max(0, 1 - brightness) to 1 + brightness.
        contrast: likewise.
        saturation: likewise.
        hue: turns are uniform from -hue to hue, in full turns, at most 0.5.

    Raises:
        ValueError: a setting is below 0, or hue above 0.5.
    """

    probability: float
    brightness: float
    contrast: float
    saturation: float
    hue: float

    draws = DRAWS_PER_JITTER

    def __post_init__(self):
        if min(self.brightness, self.contrast, self.saturation, self.hue) < 0 or self.hue > 0.5:
            raise ValueError(f"{self}: expected settings of at least 0, and a hue of at most 0.5.")

    def plan(self, draws, source, view):
        """See `plan_jitter`."""
        strengths = (self.brightness, self.contrast, self.saturation, self.hue)
        return plan_jitter(draws, self.probability, strengths)

    def act(self, image, plan, row, memory):
        """See `jitter`."""
        return jitter(image, plan, row, memory)


@dataclass(frozen=True)
class JitterPlan:
    """The changes of n images.

    Attributes:
        order: int64 [n, 4], the changes in their order, see `BRIGHTNESS` and so on; -1 = none.
        factors: float32 [n, 3], of brightness, contrast and saturation.
        steps: int64 [n], of hue; 256 are a full turn.
    """

    order: np.ndarray
    factors: np.ndarray
    steps: np.ndarray


def plan_jitter(draws: np.ndarray, probability: float, strengths) -> JitterPlan:
    """Turns uniform numbers into changes.

    Args:
        draws: float64 [n, DRAWS_PER_JITTER] in (0, 1).
        probability: odds that an image is changed at all.
        strengths: (brightness, contrast, saturation, hue), see `ColourJitter`.

    Returns:
        The plan of the n images.
    """
    strengths = np.asarray(strengths, np.float64)
    low = np.maximum(0.0, 1.0 - strengths[:3])
    factors = low + draws[:, 2:5] * (1.0 + strengths[:3] - low)
    turns = (2.0 * draws[:, 5] - 1.0) * strengths[3]
    order = ORDERS[(draws[:, 1] * len(ORDERS)).astype(np.int64)]
    happens = (draws[:, 0] < probability)[:, None] & (strengths > 0)[order]
    return JitterPlan(
        np.where(happens, order, -1), factors.astype(np.float32), np.trunc(turns * 255.0).astype(np.int64)
    )


def jitter(image: np.ndarray, plan: JitterPlan, row: int, memory: WorkingMemory) -> np.ndarray:
    """Carries out one image's part of a plan.

    Args:
        image: uint8 [H, W, C], C = 1 or 3; not changed.
        plan: decisions of the batch.
        row: which image of the plan.
        memory: arrays to work in; the result is one of them, unless it is `image`.

    Returns:
        uint8 [H, W, C].
    """
    grey = image.shape[2] == 1
    for change in plan.order[row].tolist():
        if change < 0 or (grey and change in (SATURATION, HUE)):
            continue
        out = memory.other(image)
        if change == HUE:
            turn_hue(image, int(plan.steps[row]), out, memory)
        else:
            act = (change_brightness, change_contrast, change_saturation)[change]
            act(image, plan.factors[row, change], out, memory)
        image = out
    return image


def change_brightness(image, factor: np.float32, out, memory: WorkingMemory) -> None:
    """factor v, as `PIL.ImageEnhance.Brightness`.

    Args:
        image: uint8 [H, W, C].
        factor: at least 0.
        out: uint8 [H, W, C], another array; receives the result.
        memory: arrays to work in.
    """
    cv2.LUT(image, _blend_table(0, factor), dst=out)


def change_contrast(image, factor: np.float32, out, memory: WorkingMemory) -> None:
    """g + factor (v - g) with g the mean grey level, rounded, as `PIL.ImageEnhance.Contrast`.

    Args:
        As `change_brightness`.
    """
    grey = grey_levels(image, memory)
    mean = int(cv2.sumElems(grey)[0] / grey.size + 0.5)
    cv2.LUT(image, _blend_table(mean, factor), dst=out)


def _blend_table(grey, factor):
    """uint8 [1, 256]: what becomes of each value; with float32 and truncation, as Pillow's `blend`."""
    values = np.arange(256, dtype=np.float32)
    blended = np.float32(grey) + factor * (values - np.float32(grey))
    return np.clip(blended, 0, 255).astype(np.uint8)[None]


def change_saturation(image, factor: np.float32, out, memory: WorkingMemory) -> None:
    """L + factor (v - L) with L the pixel's grey level, as `PIL.ImageEnhance.Color`.

    Args:
        As `change_brightness`; the image has three channels.
    """
    pixels, grey = (memory.array(name, image.shape, np.float32) for name in ("pixels", "grey pixels"))
    np.copyto(pixels, image)
    levels = memory.array("saturation levels", image.shape[:2], np.float32)
    np.copyto(levels, grey_levels_of(pixels, memory)[:, :, 0])
    cv2.cvtColor(levels, cv2.COLOR_GRAY2RGB, dst=grey)
    pixels -= grey
    pixels *= factor
    pixels += grey
    if factor > 1:
        np.clip(pixels, 0, 255, out=pixels)
    np.copyto(out, pixels, casting="unsafe")
