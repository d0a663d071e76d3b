"""Turns the hue of an image, as torchvision does by way of Pillow's HSV of eight bits.

Pillow's conversions lose up to a few levels, also where the hue is turned by nothing; this is equal to them.
Both are functions of few small integers, so that what costs Pillow divisions costs a look into a table here.
"""

import functools

import cv2
import numpy as np

from mmgl_tf.pipelines.augmentation.working_memory import WorkingMemory

_REACH = 511  # differences of two channels: -255 to 255
# Where a colour is found in the table of hues: (R - G + 255) 511 + G - B + 255; exact in float32.
_PLACE = np.array([[_REACH, 1 - _REACH, -1, 255 * (_REACH + 1)]], np.float32)


def turn_hue(image: np.ndarray, steps: int, out: np.ndarray, memory: WorkingMemory) -> None:
    """To HSV, H + steps modulo 256, and back.

    With M and m the largest and smallest of R, G, B: V = M, S = 255 (M - m) / M, and H is 255 / 6 times
    (G - B) / (M - m) where R = M, else 2 + (B - R) / (M - m) where G = M, else 4 + (R - G) / (M - m); both
    are truncated. Back: with w_c the distance of channel c's hue, 0 within a sixth and 1 beyond a third, c =
    V (1 - S w_c / 255), rounded.

    Args:
        image: uint8 [H, W, 3].
        steps: any integer; 256 are a full turn.
        out: uint8 [H, W, 3], another array; receives the result.
        memory: arrays to work in.
    """
    shape = image.shape[:2]
    names = ("hue red", "hue green", "hue blue", "hue smallest", "hue largest", "hue")
    *planes, smallest, largest, hue = (memory.array(name, shape) for name in names)
    value, saturation, part = (
        memory.array(name, shape, np.float32) for name in ("hue V", "hue S", "hue part")
    )
    pixels = memory.array("pixels", image.shape, np.float32)
    places = memory.array("hue places", shape, np.intp)

    np.copyto(pixels, image)
    cv2.transform(pixels, _PLACE, dst=value)
    np.copyto(places, value, casting="unsafe")
    # Every place is within the table; with "clip" NumPy need not look first.
    np.take(_hues(), places, out=hue, mode="clip")

    cv2.split(image, planes)
    cv2.min(cv2.min(planes[0], planes[1], dst=smallest), planes[2], dst=smallest)
    cv2.max(cv2.max(planes[0], planes[1], dst=largest), planes[2], dst=largest)
    np.copyto(value, largest)
    np.subtract(largest, smallest, out=smallest)
    np.copyto(saturation, smallest)
    np.maximum(largest, 1, out=largest)  # black has no saturation
    np.copyto(part, largest)
    saturation /= part
    saturation *= np.float32(255)
    np.copyto(smallest, saturation, casting="unsafe")
    np.copyto(saturation, smallest)
    saturation /= np.float32(255)

    turn = steps % 256
    for plane, lacking in zip(planes, _lacking(), strict=True):
        cv2.LUT(hue, lacking[:, turn : turn + 256], dst=part)
        part *= saturation
        np.subtract(np.float32(1), part, out=part)
        part *= value
        part += np.float32(0.5)
        np.copyto(plane, part, casting="unsafe")
    cv2.merge(planes, dst=out)


@functools.cache
def _hues():
    """uint8 [511 * 511]: H by R - G and G - B, with Pillow's roundings."""
    red_green, green_blue = np.arange(-255, 256)[:, None], np.arange(-255, 256)[None, :]
    # Any colour of these differences will do; those that no colour has are never looked up.
    red, green, blue = np.broadcast_arrays(red_green + green_blue, green_blue, 0)
    largest = np.maximum(np.maximum(red, green), blue)
    spread = largest - np.minimum(np.minimum(red, green), blue)
    red, green, blue = (
        (largest - channel).astype(np.float32) / np.maximum(spread, 1).astype(np.float32)
        for channel in (red, green, blue)
    )
    # Pillow subtracts in float32, but adds in float64.
    sectors = [
        (blue - green).astype(np.float64),
        2.0 + red.astype(np.float64) - blue.astype(np.float64),
        4.0 + green.astype(np.float64) - red.astype(np.float64),
    ]
    sector = np.where(red == 0, 0, np.where(green == 0, 1, 2))
    hue = np.choose(sector, sectors).astype(np.float32).astype(np.float64)
    turn = np.fmod(hue / 6.0 + 1.0, 1.0).astype(np.float32)
    levels = np.clip((turn.astype(np.float64) * 255.0).astype(np.int64), 0, 255)
    return np.where(spread == 0, 0, levels).astype(np.uint8).ravel()


@functools.cache
def _lacking():
    """Three float32 [1, 512]: w of R, G and B by hue, twice over, so that turning is starting further on."""
    place = np.arange(256).astype(np.float32).astype(np.float64) * 6.0 / 255.0
    sixth = np.floor(place).astype(np.int64)
    part = (place - sixth).astype(np.float32)
    none, whole, rest = np.zeros_like(part), np.ones_like(part), np.float32(1) - part
    by_sixth = (
        (none, part, whole, whole, rest, none),
        (rest, none, none, part, whole, whole),
        (whole, whole, rest, none, none, part),
    )
    return [np.tile(np.choose(sixth % 6, parts).astype(np.float32), 2)[None] for parts in by_sixth]
