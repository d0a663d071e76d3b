"""Patterns of cloth, in garment coordinates, so that they turn with the body.

A pattern is evaluated at azimuth (radians around the body, 0 = front) and v (0 = top of the garment, 1 = hem)
and says how much of the garment's second tone is there, 0..1.
"""

import math
from dataclasses import dataclass

import numpy as np

UPPER_KINDS = {
    "plain": 3.2,
    "stripes_horizontal": 1.4,
    "stripes_vertical": 0.8,
    "stripes_diagonal": 0.6,
    "check": 1.0,
    "grid": 0.7,
    "dots": 0.7,
    "yoke": 0.9,
    "band": 1.1,
    "camouflage": 0.6,
    "two_tone": 0.7,
    "print": 2.4,
    "side_stripe": 0.6,
}
LOWER_KINDS = {
    "plain": 4.0,
    "stripes_vertical": 0.5,
    "check": 0.5,
    "camouflage": 0.6,
    "side_stripe": 1.0,
    "knee_patch": 0.6,
    "hem": 0.8,
}
_GLYPH_ROWS, _GLYPH_COLUMNS = 6, 5
_FULL_TURN = 2 * math.pi


@dataclass(frozen=True, eq=False)
class Pattern:
    """One garment's pattern.

    Attributes:
        kind: a key of `UPPER_KINDS` or `LOWER_KINDS`.
        frequency: repeats over the garment's length.
        phase: 0..1, shift of the repeats.
        duty: 0..1, share of the second tone, or the place of a band.
        glyph: float32 [8, 7], the chest print with an empty border, or None.
        back_glyph: the same for the back, or None.
        camouflage: float32 [128, 128] noise, or None.
    """

    kind: str
    frequency: float
    phase: float
    duty: float
    glyph: np.ndarray | None = None
    back_glyph: np.ndarray | None = None
    camouflage: np.ndarray | None = None


PLAIN = Pattern("plain", 1.0, 0.0, 0.5)


def _draw_glyph(dice):
    # Mirror symmetry in half of them: letters and logos are mostly symmetric, and read as prints.
    cells = [[dice.chance(0.55) for _ in range(_GLYPH_COLUMNS)] for _ in range(_GLYPH_ROWS)]
    glyph = np.zeros((_GLYPH_ROWS + 2, _GLYPH_COLUMNS + 2), np.float32)
    glyph[1:-1, 1:-1] = cells
    if dice.chance(0.5):
        glyph = np.maximum(glyph, glyph[:, ::-1])
    return glyph


def draw_pattern(dice, kinds, camouflage):
    """Draws a garment's pattern.

    Args:
        dice: a `Dice`.
        kinds: dict of pattern kinds and weights.
        camouflage: float32 [128, 128] noise that camouflage is cut from.

    Returns:
        A `Pattern`.
    """
    kind = dice.pick(kinds)
    frequency, phase, duty = dice.uniform(4, 11), dice.uniform(), dice.uniform(0.3, 0.7)
    glyph = back = None
    if kind == "print":
        glyph = _draw_glyph(dice)
        back = _draw_glyph(dice) if dice.chance(0.35) else None
    shifted = None
    if kind == "camouflage":
        shifted = np.roll(camouflage, (dice.below(128), dice.below(128)), (0, 1))
    return Pattern(kind, frequency, phase, duty, glyph, back, shifted)


def _wave(position, duty, sharpness=2.2):
    """A soft-edged square wave of period 1, 0..1."""
    return np.clip(0.5 + sharpness * (np.cos(_FULL_TURN * position) - math.cos(math.pi * duty)), 0.0, 1.0)


def _between(value, low, high, sharpness):
    return np.clip(np.minimum(value - low, high - value) * sharpness + 0.5, 0.0, 1.0)


def _print(glyph, offset, v):
    rows = ((v - 0.2) * (_GLYPH_ROWS / 0.34) + 1).astype(np.int32)
    columns = (offset * (_GLYPH_COLUMNS / 1.15) + 0.5 * _GLYPH_COLUMNS + 1).astype(np.int32)
    rows = np.clip(rows, 0, _GLYPH_ROWS + 1)
    columns = np.clip(columns, 0, _GLYPH_COLUMNS + 1)
    return glyph[rows, columns]


def wrap(angle):
    """An angle in radians, brought to [-pi, pi)."""
    return (angle + math.pi) % _FULL_TURN - math.pi


def second_tone(pattern, bearing, v, yaw):
    """Share of the second tone at each pixel of a garment.

    Args:
        pattern: a `Pattern`.
        bearing: float32 [h, w], arcsine of the position across the part: -pi/2 at its left edge in the
            image, 0 in the middle, pi/2 at its right edge.
        v: float32 [h, w], 0 at the garment's top, 1 at its hem.
        yaw: radians the part is turned by; azimuth = bearing - yaw.

    Returns:
        float32 [h, w], 0..1, or 0.0 where the garment is plain.
    """
    kind, frequency, phase, duty = pattern.kind, pattern.frequency, pattern.phase, pattern.duty
    around = round(frequency * 2.2)  # whole repeats around the body, so that there is no seam
    if kind == "plain":
        return 0.0
    if kind == "stripes_horizontal":
        return _wave(v * frequency + phase, duty)
    if kind == "stripes_vertical":
        return _wave((bearing - yaw) * (around / _FULL_TURN) + phase, duty)
    if kind == "stripes_diagonal":
        half = max(2, around // 2)
        return _wave((bearing - yaw) * (half / _FULL_TURN) + v * frequency * 0.6 + phase, duty)
    if kind == "check":
        return 0.5 * (
            _wave(v * frequency * 0.8 + phase, 0.5)
            + _wave((bearing - yaw) * (around * 0.8 // 1 / _FULL_TURN), 0.5)
        )
    if kind == "grid":
        lines = _wave((bearing - yaw) * (around / _FULL_TURN) + phase, 0.22)
        return np.maximum(_wave(v * frequency + phase, 0.22), lines)
    if kind == "dots":
        across = np.cos(bearing * around - yaw * around)
        return np.clip(0.5 + 1.8 * (across + np.cos(_FULL_TURN * (v * frequency + phase)) - 0.7), 0.0, 1.0)
    if kind == "yoke":
        return np.clip((0.16 + 0.2 * duty - v) * 30, 0.0, 1.0)
    if kind == "band":
        return _between(v, 0.15 + 0.4 * phase, 0.27 + 0.4 * phase + 0.16 * duty, 30)
    if kind == "two_tone":
        return np.clip((v - 0.3 - 0.4 * duty) * 30, 0.0, 1.0)
    if kind == "camouflage":
        rows = (v * 70).astype(np.int32) & 127
        columns = ((bearing - yaw) * (128 / _FULL_TURN)).astype(np.int32) & 127
        return np.clip(pattern.camouflage[rows, columns] * 3 + (duty - 0.5) * 3 + 0.5, 0.0, 1.0)
    if kind == "side_stripe":
        width = 0.12 + 0.14 * duty
        left = np.abs(bearing - wrap(yaw - math.pi / 2))
        right = np.abs(bearing - wrap(yaw + math.pi / 2))
        return np.clip((width - np.minimum(left, right)) * 8 + 0.5, 0.0, 1.0)
    if kind == "print":
        if abs(wrap(yaw)) < 2.2:
            return _print(pattern.glyph, bearing - wrap(yaw), v)
        if pattern.back_glyph is not None:
            return _print(pattern.back_glyph, bearing - wrap(yaw + math.pi), v)
        return 0.0
    if kind == "knee_patch":
        facing = np.clip((np.cos(bearing - yaw) - 0.3) * 4, 0.0, 1.0)
        return facing * _between(v, 0.4, 0.56, 25)
    if kind == "hem":
        return np.clip((v - 0.84 + 0.1 * duty) * 30, 0.0, 1.0)
    raise ValueError(f"pattern kind is {kind!r}; expected one of {sorted({*UPPER_KINDS, *LOWER_KINDS})}.")
