"""AugMix (Hendrycks et al. 2020): a convex mixture of an image and several chains of simple operations.

mixed = (1 - m) x + m sum_i w_i chain_i(x), with w ~ Dirichlet(1), m ~ Beta(1, 1), and each chain one to
three operations drawn from nine that overlap with no test corruption. All draws are made beforehand, for
a whole batch, as an `AugmixPlan`; carrying it out is deterministic.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from mmgl_tf.pipelines.augmentation import pixel_operations as pixels
from mmgl_tf.pipelines.augmentation.operation import Operation

OPERATIONS = (
    "autocontrast",
    "equalize",
    "posterize",
    "rotate",
    "solarize",
    "shear_x",
    "shear_y",
    "translate_x",
    "translate_y",
)
AUTOCONTRAST, EQUALIZE, POSTERIZE, ROTATE, SOLARIZE, SHEAR_X, SHEAR_Y, TRANSLATE_X, TRANSLATE_Y = range(9)
MAX_DEPTH = 3
MIN_LEVEL = 0.1


@dataclass(frozen=True)
class AugMix(Operation):
    """AugMix of each image; the result is float32, so it comes last of all operations on pixels.

    Attributes:
        severity: largest level, 0.1 to 10.
        width: chains.
        depth: operations in a chain; 0 = uniform from 1 to 3.
        warp: "pil" for Pillow's warps, "fast" for OpenCV's own.
    """

    severity: float
    width: int
    depth: int
    warp: str = "pil"

    @property
    def draws(self):
        """Uniform numbers that an image needs; follows width and depth."""
        return draws_per_image(self.width, self.depth)

    def plan(self, draws, source, view):
        """See `plan_augmix`."""
        return plan_augmix(draws, self.severity, self.width, self.depth, *source)

    def act(self, image, plan, row, memory):
        """See `augmix`."""
        mixed = augmix(image, plan, row, memory.scratch(*image.shape), self.warp)
        return mixed.reshape(image.shape)


@dataclass(frozen=True)
class AugmixPlan:
    """Every decision of AugMix for a batch of n images.

    Attributes:
        weights: float64 [n, 1 + width], the shares of the image itself and of each chain; sum 1.
        depths: int64 [n, width], operations in each chain.
        operations: int64 [n, width, depth], places in `OPERATIONS`; drawn beyond the depth too.
        amounts: float64 [n, width, depth], by operation: posterize bits kept, solarize threshold, rotate
            whole degrees (counter-clockwise), shear pixels per pixel, translate whole pixels (read from
            x + amount); 0 for autocontrast and equalize.
        warps: int64 [n, width, depth], row in the three arrays below, or -1 where nothing is to be warped.
        matrices: float64 [K, 2, 3], see `pixel_operations.opencv_matrices`.
        first: int16 [K, H, 1], see `pixel_operations.inside_limits`.
        end: int16 [K, H, 1].
    """

    weights: np.ndarray
    depths: np.ndarray
    operations: np.ndarray
    amounts: np.ndarray
    warps: np.ndarray
    matrices: np.ndarray
    first: np.ndarray
    end: np.ndarray


def draws_per_image(width: int, depth: int) -> int:
    """Uniform numbers that `plan_augmix` needs for each image."""
    longest = depth or MAX_DEPTH
    return 1 + width + width + 3 * width * longest


def plan_augmix(
    draws: np.ndarray, severity: float, width: int, depth: int, image_height: int, image_width: int
) -> AugmixPlan:
    """Turns uniform numbers into AugMix's decisions, by the published rules.

    Every operation draws its own level from U(0.1, severity) and scales with level / 10: rotate up to 30
    degrees, shear up to 0.3, translate up to a third of the image, posterize to 4 - int(0.4 level) bits,
    solarize from 256 - int(25.6 level) up; all but shear are truncated to whole numbers, and the
    geometric ones change sign with probability 1/2. At severity 3: at most 9 degrees, 0.09, a tenth.

    Choice: a horizontal translation scales with the width and a vertical one with the height; the
    published code knows square images only.

    Args:
        draws: float64 [n, draws_per_image(width, depth)] in (0, 1).
        severity: largest level, 0.1 to 10; the published default is 3.
        width: chains, published 3.
        depth: operations in a chain; 0 = uniform from 1 to 3 as published.
        image_height: rows, H, in pixels.
        image_width: columns, W, in pixels.

    Returns:
        The plan of the n images.
    """
    number, longest = len(draws), depth or MAX_DEPTH
    ends = np.cumsum([1, width, width])
    share, exponential, length, rest = np.split(draws, ends, axis=1)
    kind, level, sign = np.moveaxis(rest.reshape(number, width, longest, 3), -1, 0)

    # Normalised exponentials are Dirichlet(1, ..., 1); Beta(1, 1) is uniform.
    chain_weights = -np.log(exponential)
    chain_weights /= chain_weights.sum(axis=1, keepdims=True)
    weights = np.concatenate((1.0 - share, share * chain_weights), axis=1)
    depths = np.full((number, width), depth) if depth else 1 + (length * MAX_DEPTH).astype(np.int64)
    operations = (kind * len(OPERATIONS)).astype(np.int64)
    amounts = _amounts(operations, level, sign, severity, image_height, image_width)

    geometric = (operations == ROTATE) | (operations == SHEAR_X) | (operations == SHEAR_Y)
    used = np.arange(longest) < depths[:, :, None]
    where = geometric & used & (amounts != 0)
    warps = np.full(operations.shape, -1)
    warps[where] = np.arange(where.sum())
    affines = _affines(operations[where], amounts[where], image_height, image_width)
    first, end = pixels.inside_limits(affines, image_height, image_width)
    return AugmixPlan(
        weights, depths, operations, amounts, warps, pixels.opencv_matrices(affines), first, end
    )


def _amounts(operations, level, sign, severity, height, width):
    scaled = (MIN_LEVEL + level * (severity - MIN_LEVEL)) / 10.0
    signs = np.where(sign < 0.5, -1.0, 1.0)
    zero = np.zeros_like(scaled)
    by_operation = (
        zero,
        zero,
        4 - np.trunc(scaled * 4),
        signs * np.trunc(scaled * 30),
        256 - np.trunc(scaled * 256),
        signs * scaled * 0.3,
        signs * scaled * 0.3,
        signs * np.trunc(scaled * width / 3),
        signs * np.trunc(scaled * height / 3),
    )
    return np.choose(operations, by_operation)


def _affines(operations, amounts, height, width):
    affines = np.tile(np.array((1.0, 0.0, 0.0, 0.0, 1.0, 0.0)), (len(operations), 1))
    affines[operations == SHEAR_X, 1] = amounts[operations == SHEAR_X]
    affines[operations == SHEAR_Y, 3] = amounts[operations == SHEAR_Y]
    for row in np.flatnonzero(operations == ROTATE):
        affines[row] = pixels.rotation(amounts[row], height, width)
    return affines


def augmix(image: np.ndarray, plan: AugmixPlan, row: int, scratch: pixels.Scratch, warp: str = "pil"):
    """Carries out one image's part of a plan.

    Args:
        image: uint8 [H, W, C] contiguous, C = 1 or 3; not changed, and none of `scratch`'s chain buffers.
        plan: decisions of the batch.
        row: which image of the plan.
        scratch: working memory for this size; overwritten.
        warp: "pil" for Pillow's warps, "fast" for OpenCV's own.

    Returns:
        float32 [H, W * C] in 0..255, a buffer of `scratch`.
    """
    mixed = scratch.mixed
    rows_of = mixed.shape
    np.copyto(mixed, image.reshape(rows_of))
    weights = plan.weights[row].tolist()
    total = weights[0]
    for chain, depth in enumerate(plan.depths[row].tolist()):
        result = _chain(image, plan, row, chain, depth, scratch, warp)
        # A running convex combination needs one pass per chain: (1 - r) mixed + r chain, where r is the
        # chain's share of what is mixed so far. `total` > 0, as all draws are strictly inside (0, 1).
        total += weights[1 + chain]
        cv2.accumulateWeighted(result.reshape(rows_of), mixed, weights[1 + chain] / total)
    return mixed


def _chain(image, plan, row, chain, depth, scratch, warp):
    current, free, other = image, scratch.first, scratch.second
    steps = zip(
        plan.operations[row, chain, :depth].tolist(),
        plan.amounts[row, chain, :depth].tolist(),
        plan.warps[row, chain, :depth].tolist(),
        strict=True,
    )
    for operation, amount, warp_row in steps:
        if operation == AUTOCONTRAST:
            pixels.autocontrast(current, free, scratch)
        elif operation == EQUALIZE:
            pixels.equalize(current, free, scratch)
        elif operation == POSTERIZE:
            pixels.posterize(current, int(amount), free)
        elif operation == SOLARIZE:
            pixels.solarize(current, int(amount), free)
        elif amount == 0:
            continue
        elif operation == TRANSLATE_X:
            pixels.translate(current, int(amount), 0, free)
        elif operation == TRANSLATE_Y:
            pixels.translate(current, 0, int(amount), free)
        elif warp == "pil":
            pixels.warp(
                current, plan.matrices[warp_row], plan.first[warp_row], plan.end[warp_row], free, scratch
            )
        else:
            pixels.fast_warp(current, plan.matrices[warp_row], free, scratch)
        current, free, other = free, other, free
    return current
