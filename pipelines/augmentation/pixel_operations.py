"""AugMix's nine image operations in OpenCV and NumPy, equal to Pillow's value by value.

Images are contiguous uint8 [H, W, C] with C = 1 (grey) or 3. Every operation treats channels alike, so a
grey image run through once equals each channel of the same image run through as RGB, at half the cost.
An operation writes into `out`, which must not be `image`.
"""

import functools
import math

import cv2
import numpy as np


class Scratch:
    """Working memory for images of one size, made once per thread: fresh arrays cost page faults.

    Args:
        height: rows, H.
        width: columns, W.
        channels: C, 1 or 3.
    """

    def __init__(self, height: int, width: int, channels: int):
        shape = (height, width, channels)
        self.image, self.first, self.second = (np.empty(shape, np.uint8) for _ in range(3))
        self.mixed = np.empty((height, width * channels), np.float32)
        self.mixed_rgb = np.empty((height, width, 3), np.float32)
        self.planes = [np.empty((height, width), np.uint8) for _ in range(channels)]
        # Warps run on four channels: OpenCV's kernels take twice as long for three (100 and 200
        # microseconds at 288x144), as three do not fill a vector register.
        warped = shape if channels == 1 else (height, width, 4)
        self.warp_bytes = np.empty(warped, np.uint8)
        self.warp_source = np.empty(warped, np.float32)
        self.warp_result = np.empty(warped, np.float32)
        self.outside, self.beyond = (np.empty((height, width), bool) for _ in range(2))
        self.columns = np.arange(width, dtype=np.int16)


def autocontrast(image: np.ndarray, out: np.ndarray, scratch: Scratch) -> None:
    """Stretches each channel to 0..255, as `PIL.ImageOps.autocontrast`."""
    _, width, channels = image.shape
    rows = image.reshape(len(image), -1)
    low = rows.min(axis=0).reshape(width, channels).min(axis=0).tolist()
    high = rows.max(axis=0).reshape(width, channels).max(axis=0).tolist()
    _apply_tables(image, [_stretch_table(*ends) for ends in zip(low, high, strict=True)], out, scratch)


@functools.lru_cache(maxsize=4096)
def _stretch_table(low, high):
    values = np.arange(256)
    if high <= low:
        return values.astype(np.uint8)
    # Pillow's own order of operations in float64; another order truncates differently for some values.
    scale = 255.0 / (high - low)
    return np.clip((values * scale + -low * scale).astype(np.int64), 0, 255).astype(np.uint8)


def equalize(image: np.ndarray, out: np.ndarray, scratch: Scratch) -> None:
    """Flattens each channel's histogram, as `PIL.ImageOps.equalize`."""
    tables = []
    for channel in range(image.shape[2]):
        counts = cv2.calcHist([image], [channel], None, [256], [0, 256]).ravel().astype(np.int64)
        tables.append(_equalizing_table(counts))
    _apply_tables(image, tables, out, scratch)


def _equalizing_table(counts):
    occupied = np.flatnonzero(counts)
    step = (int(counts.sum()) - int(counts[occupied[-1]])) // 255
    # No step: a single value, or too few pixels below the last value; Pillow leaves those alone.
    if step == 0:
        return np.arange(256, dtype=np.uint8)
    below = np.cumsum(counts) - counts
    return np.minimum((step // 2 + below) // step, 255).astype(np.uint8)


def _apply_tables(image, tables, out, scratch):
    if len(tables) == 1:
        cv2.LUT(image, tables[0], dst=out)
        return
    # Plane by plane takes two thirds of the time of a three-channel table.
    planes = cv2.split(image, scratch.planes)
    for plane, table in zip(planes, tables, strict=True):
        cv2.LUT(plane, table, dst=plane)
    cv2.merge(planes, out)


def posterize(image: np.ndarray, bits: int, out: np.ndarray) -> None:
    """Keeps the `bits` highest bits (0 to 8), as `PIL.ImageOps.posterize`."""
    np.bitwise_and(image, np.uint8(0xFF00 >> bits & 0xFF), out=out)


def solarize(image: np.ndarray, threshold: int, out: np.ndarray) -> None:
    """Inverts values of at least `threshold` (0 to 256), as `PIL.ImageOps.solarize`."""
    if threshold > 255:
        np.copyto(out, image)
        return
    flags = out.view(bool)
    np.greater_equal(image, np.uint8(threshold), out=flags)
    # A bool is the byte 0 or 1; its negative is 0 or 255, and x ^ 255 = 255 - x.
    np.negative(out, out=out)
    np.bitwise_xor(image, out, out=out)


def translate(image: np.ndarray, right: int, down: int, out: np.ndarray) -> None:
    """Reads from (x + right, y + down); black where that is outside, as Pillow's affine with whole steps."""
    height, width, _ = image.shape
    top, bottom = max(0, -down), height - max(0, down)
    left, end = max(0, -right), width - max(0, right)
    if top >= bottom or left >= end:
        out[:] = 0
        return
    out[top:bottom, left:end] = image[top + down : bottom + down, left + right : end + right]
    out[:top], out[bottom:] = 0, 0
    out[top:bottom, :left], out[top:bottom, end:] = 0, 0


def rotation(degrees: float, height: int, width: int) -> tuple[float, ...]:
    """Pillow's six affine numbers for a counter-clockwise turn about the middle, as `PIL.Image.rotate`."""
    angle = -math.radians(degrees % 360)
    cos, sin = round(math.cos(angle), 15), round(math.sin(angle), 15)
    middle_x, middle_y = width / 2, height / 2
    return (
        cos,
        sin,
        cos * -middle_x + sin * -middle_y + middle_x,
        -sin,
        cos,
        -sin * -middle_x + cos * -middle_y + middle_y,
    )


def inside_limits(affines: np.ndarray, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Which columns of each row an affine map reads from inside the image; vectorised over maps.

    Pillow blackens a pixel exactly when the point it reads at lies outside the image; the set of the
    others is an interval in each row.

    Args:
        affines: float64 [K, 6], Pillow's (a, b, c, d, e, f) with a > 0: the pixel whose middle is (x, y)
            reads at (a x + b y + c, d x + e y + f).
        height: rows, H.
        width: columns, W.

    Returns:
        (first, end): int16 [K, H, 1] each; columns first <= x < end are inside.
    """
    a, b, c, d, e, f = (affines[:, place, None] for place in range(6))
    middles = np.arange(height) + 0.5
    x_offset, y_offset = b * middles + c, e * middles + f
    first = np.ceil(-x_offset / a - 0.5)
    end = np.ceil((width - x_offset) / a - 0.5)
    # 0 <= d (x + 0.5) + y_offset < height
    with np.errstate(divide="ignore", invalid="ignore"):
        low, high = -y_offset / d - 0.5, (height - y_offset) / d - 0.5
    level = (y_offset >= 0) & (y_offset < height)
    first_y = np.where(d > 0, np.ceil(low), np.where(d < 0, np.floor(high) + 1, np.where(level, 0, width)))
    end_y = np.where(d > 0, np.ceil(high), np.where(d < 0, np.floor(low) + 1, width))
    first = np.clip(np.maximum(first, first_y), 0, width)
    end = np.clip(np.minimum(end, end_y), 0, width)
    return first.astype(np.int16)[:, :, None], end.astype(np.int16)[:, :, None]


def opencv_matrices(affines: np.ndarray) -> np.ndarray:
    """Pillow's affine numbers [K, 6] as OpenCV's inverse maps float64 [K, 2, 3].

    Pillow counts from the corner of a pixel, OpenCV from its middle.
    """
    matrices = affines.reshape(-1, 2, 3).copy()
    matrices[:, :, 2] += (matrices[:, :, 0] + matrices[:, :, 1] - 1) / 2
    return matrices


def warp(image, matrix, first, end, out, scratch: Scratch) -> None:
    """Bilinear affine map, equal to Pillow's to one level in some ten thousandths of the values.

    Pillow differs from OpenCV in two ways. It truncates instead of rounding, hence the float32 image.
    At the border it repeats the edge and blackens only what is read from outside, while OpenCV's black
    border blends half a pixel with black; hence a repeated border and a mask.

    Args:
        image: uint8 [H, W, C].
        matrix: one of `opencv_matrices`, [2, 3].
        first: one of `inside_limits`, [H, 1].
        end: likewise.
        out: uint8 [H, W, C], receives the result.
        scratch: working memory of that size.
    """
    height, width, channels = image.shape
    pixels = image if channels == 1 else cv2.cvtColor(image, cv2.COLOR_RGB2RGBA, dst=scratch.warp_bytes)
    np.copyto(scratch.warp_source, pixels)
    cv2.warpAffine(
        scratch.warp_source,
        matrix,
        (width, height),
        dst=scratch.warp_result,
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    target = out if channels == 1 else scratch.warp_bytes
    np.copyto(target, scratch.warp_result, casting="unsafe")
    outside = scratch.outside
    np.less(scratch.columns, first, out=outside)
    np.greater_equal(scratch.columns, end, out=scratch.beyond)
    np.logical_or(outside, scratch.beyond, out=outside)
    if channels == 1:
        np.copyto(target[:, :, 0], 0, where=outside)
    else:
        np.copyto(target.view(np.uint32)[:, :, 0], 0, where=outside)
        cv2.cvtColor(target, cv2.COLOR_RGBA2RGB, dst=out)


def fast_warp(image, matrix, out, scratch: Scratch) -> None:
    """Bilinear affine map as OpenCV does it: half a level brighter than Pillow, softer at the border."""
    height, width, channels = image.shape
    pixels = image if channels == 1 else cv2.cvtColor(image, cv2.COLOR_RGB2RGBA, dst=scratch.warp_bytes)
    warped = cv2.warpAffine(
        pixels,
        matrix,
        (width, height),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_CONSTANT,
    )
    if channels == 1:
        np.copyto(out[:, :, 0], warped)
    else:
        cv2.cvtColor(warped, cv2.COLOR_RGBA2RGB, dst=out)
