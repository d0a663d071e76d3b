"""Turns the hue of an image, as torchvision does by way of Pillow's HSV of eight bits.

Pillow's conversions lose up to a few levels, also where the hue is turned by nothing; this is equal to them.
Both are functions of few small integers, so that what costs Pillow divisions costs a look into a table here.
"""

import functools

import cv2
import numpy as np

from mmgl_tf.pipelines.augmentation.working_memory import WorkingMemory

_DIFFERENCES = 511  # -255 to 255


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
    red, green, blue = (plane.astype(np.int32) for plane in cv2.split(image))
    largest = np.maximum(np.maximum(red, green), blue)
    spread = largest - np.minimum(np.minimum(red, green), blue)
    is_red, is_green = red == largest, green == largest
    difference = np.where(is_red, green - blue, np.where(is_green, blue - red, red - green))
    sector = np.where(is_red, 0, np.where(is_green, 1, 2))
    hue = _hues()[(sector * _DIFFERENCES + difference + 255) * 256 + spread]
    saturation = _saturations()[largest * 256 + spread]
    hue += np.uint8(steps % 256)
    planes = []
    for weights in _weights():
        part = cv2.LUT(hue, weights)
        part *= saturation
        np.subtract(1.0, part, out=part)
        part *= largest
        part += 0.5
        planes.append(part.astype(np.uint8))
    cv2.merge(planes, dst=out)


@functools.cache
def _hues():
    """uint8 [3 * 511 * 256]: H by sector, difference and spread, with Pillow's roundings."""
    one = np.float32(1)
    spread = np.arange(256)[None, :]
    difference = np.arange(-255, 256)[:, None]
    # Of the two channels beside the largest, one is the smallest, so that its quotient is 1.
    quotient = (spread - abs(difference)).astype(np.float32) / np.maximum(spread, 1).astype(np.float32)
    first = np.where(difference >= 0, one, quotient)
    second = np.where(difference >= 0, quotient, one)
    sectors = [(first - second).astype(np.float64)]
    sectors += [base + first.astype(np.float64) - second.astype(np.float64) for base in (2.0, 4.0)]
    hue = np.stack(sectors).astype(np.float32).astype(np.float64)
    turn = np.fmod(hue / 6.0 + 1.0, 1.0).astype(np.float32)
    levels = np.clip((turn.astype(np.float64) * 255.0).astype(np.int64), 0, 255)
    return np.where(spread == 0, 0, levels).astype(np.uint8).ravel()


@functools.cache
def _saturations():
    """float32 [256 * 256]: S / 255 by largest and spread."""
    largest, spread = np.arange(256)[:, None], np.arange(256)[None, :]
    share = spread.astype(np.float32) / np.maximum(largest, 1).astype(np.float32)
    levels = np.clip((share.astype(np.float64) * 255.0).astype(np.int64), 0, 255)
    return (levels / 255.0).astype(np.float32).ravel()


@functools.cache
def _weights():
    """Three float32 [1, 256]: how much of the saturation each channel of a hue lacks."""
    place = np.arange(256).astype(np.float32).astype(np.float64) * 6.0 / 255.0
    sixth = np.floor(place).astype(np.int64)
    part = (place - sixth).astype(np.float32)
    none, whole, rest = np.zeros_like(part), np.ones_like(part), np.float32(1) - part
    by_sixth = (
        (none, part, whole, whole, rest, none),
        (rest, none, none, part, whole, whole),
        (whole, whole, rest, none, none, part),
    )
    return [np.choose(sixth % 6, parts).astype(np.float32)[None] for parts in by_sixth]
