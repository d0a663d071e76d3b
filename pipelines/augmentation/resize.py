"""Bilinear resizing with antialiasing, as Pillow and torchvision define it.

Along an axis that shrinks by a factor s, the triangle of interpolation is s times as wide, so that every
pixel of the source takes part. Pillow rounds to whole levels between its two passes; here only the result
is rounded, which is nearer to the formula and within one level of Pillow's.
"""

import functools
import math

import cv2
import numpy as np

from mmgl_tf.pipelines.augmentation.working_memory import WorkingMemory


def resize(image: np.ndarray, out: np.ndarray, memory: WorkingMemory) -> None:
    """Resizes an image into another array.

    Args:
        image: uint8 [h, w, C], C = 1 or 3; need not be contiguous.
        out: uint8 [H, W, C], contiguous; receives the result.
        memory: arrays to work in.
    """
    height, width = out.shape[:2]
    if image.shape == out.shape:
        np.copyto(out, image)
        return
    pixels = memory.varying("resize source", image.shape, np.float32)
    np.copyto(pixels, image)
    if len(pixels) > height:
        pixels = _fewer_rows(pixels, height)
    if pixels.shape[1] > width:
        pixels = cv2.transpose(_fewer_rows(cv2.transpose(pixels), width))
    # What is left to do is to enlarge, for which plain interpolation is the same.
    if pixels.shape[:2] != (height, width):
        larger = memory.array("pixels", out.shape, np.float32)
        pixels = cv2.resize(pixels, (width, height), dst=larger, interpolation=cv2.INTER_LINEAR)
    cv2.convertScaleAbs(pixels, dst=out)


def _fewer_rows(pixels, rows):
    """float32 [h, ...] -> [rows, ...], rows < h."""
    places, weights = _taps(len(pixels), rows)
    flat = pixels.reshape(len(pixels), -1)
    result = np.zeros((rows, flat.shape[1]), np.float32)
    for place, weight in zip(places, weights, strict=True):
        part = flat.take(place, axis=0)
        part *= weight
        result += part
    return result.reshape(rows, *pixels.shape[1:])


@functools.lru_cache(maxsize=4096)
def _taps(source, rows):
    """Which rows make up each row of the result, int64 [taps, rows], and by which weights [taps, rows, 1]."""
    scale = source / rows
    middles = (np.arange(rows) + 0.5) * scale
    first = np.maximum(np.floor(middles - scale + 0.5).astype(np.int64), 0)
    places = first + np.arange(2 * math.ceil(scale) + 1)[:, None]
    weights = np.maximum(1.0 - abs((places + 0.5 - middles) / scale), 0.0)
    weights[places >= source] = 0.0
    weights /= weights.sum(axis=0)
    used = weights.any(axis=1)
    return np.minimum(places[used], source - 1), weights[used].astype(np.float32)[:, :, None]
