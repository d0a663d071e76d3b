"""The one brush: a tube with a width profile, shaded as a round body, on a float canvas."""

import math

import numpy as np

_STEPS = 96
_PARAMETER = np.linspace(0.0, 1.0, _STEPS, dtype=np.float32)
_OUTSIDE = -100.0


def _with_sentinels(widths):
    table = np.full(_STEPS + 2, _OUTSIDE, np.float32)
    table[1:-1] = widths
    return table


def profile(places, widths):
    """A table of half-widths along a tube.

    Args:
        places: increasing positions from 0 to 1.
        widths: half-width in pixels at each.

    Returns:
        float32 [98]: half-width in pixels at 96 positions, between two sentinels that mean "outside".
    """
    return _with_sentinels(np.interp(_PARAMETER, places, widths))


def ellipse(half_width, power=2.0):
    """The profile of a closed oval; a higher power is boxier."""
    x = np.abs(2 * _PARAMETER - 1)
    return _with_sentinels(half_width * (1 - x**power) ** (1 / power))


def capsule(start, end, widths):
    """A limb with round ends.

    Args:
        start, end: (column, row) of the joints in pixels.
        widths: half-widths in pixels at equal distances from start to end.

    Returns:
        (start, end, table): the tube's ends moved out by the round caps, and its profile.
    """
    dx, dy = end[0] - start[0], end[1] - start[1]
    length = max(math.hypot(dx, dy), 1e-3)
    first, last = widths[0], widths[-1]
    ux, uy = dx / length, dy / length
    whole = length + first + last
    along = _PARAMETER * whole - first
    table = np.interp(along, np.linspace(0.0, length, len(widths)), widths)
    head, tail = along < 0, along > length
    table[head] = first * np.sqrt(np.maximum(0.0, 1 - (along[head] / first) ** 2))
    table[tail] = last * np.sqrt(np.maximum(0.0, 1 - ((along[tail] - length) / last) ** 2))
    return (
        (start[0] - ux * first, start[1] - uy * first),
        (end[0] + ux * last, end[1] + uy * last),
        _with_sentinels(table),
    )


class Canvas:
    """A float image that tubes are painted on, back to front.

    Attributes:
        pixels: float32 [H, W, C], 0..1.
    """

    def __init__(self, pixels, light, falloff, halo, folds):
        """Starts on a background.

        Args:
            pixels: float32 [H, W, C], 0..1; painted on in place.
            light: (across, down) direction of the side light, each about -.3 .. .3.
            falloff: how much darker a round body is at its edge, 0..1.
            halo: how much a part darkens what lies right behind its edge, 0..1. It keeps an arm apart from a
                torso of the same cloth.
            folds: float32 [h, w] noise of unit spread, larger than the canvas.
        """
        self.pixels = pixels
        height, width = pixels.shape[:2]
        self._columns = np.arange(width, dtype=np.float32)[None, :]
        self._rows = np.arange(height, dtype=np.float32)[:, None]
        self._light = light
        self._falloff = falloff
        self._halo = halo
        self._halo_pixels = 3.0 * height / 192
        self._folds = folds

    def tube(self, start, end, table, paint, halo=1.0, fold=0.0, falloff=1.0, turned=False):
        """Paints one tube.

        Args:
            start, end: (column, row) of the axis' ends in pixels.
            table: half-widths, from `profile`, `ellipse` or `capsule`.
            paint: colour float32 [C], or a function of (t, bearing), float32 [h, w] each, that returns a
                colour [h, w, C]; t runs from 0 at start to 1 at end, bearing is the arcsine of the position
                across.
            halo, falloff: factors on the canvas' own.
            fold: strength of the folds in the cloth.
            turned: True swaps the sides of `bearing`, for an axis that points up.
        """
        ax, ay = start[0], start[1]
        dx, dy = end[0] - ax, end[1] - ay
        length = max(math.hypot(dx, dy), 1e-3)
        ux, uy = dx / length, dy / length
        reach = float(table.max()) + 2 + self._halo_pixels
        height, width = self.pixels.shape[:2]
        left = max(0, int(ax + min(dx, 0) - reach * abs(uy) - 1))
        right = min(width, int(ax + max(dx, 0) + reach * abs(uy)) + 2)
        top = max(0, int(ay + min(dy, 0) - reach * abs(ux) - 1))
        bottom = min(height, int(ay + max(dy, 0) + reach * abs(ux)) + 2)
        if left >= right or top >= bottom:
            return
        columns = self._columns[:, left:right] - ax
        rows = self._rows[top:bottom] - ay
        t = columns * (ux / length) + rows * (uy / length)
        across = columns * uy - rows * ux
        if turned:
            across = -across
        half = table.take((t * _STEPS + 1).astype(np.int32), mode="clip")
        inside = half - np.abs(across)
        alpha = np.clip(inside + 0.5, 0.0, 1.0)[..., None]
        place = np.clip(across / np.maximum(half, 0.7), -1.0, 1.0)
        side = self._light[0] * uy - self._light[1] * ux
        if turned:
            side = -side
        shade = 1.0 + place * (side - place * (self._falloff * falloff))
        if fold:
            shade += fold * self._folds[top:bottom, left:right]
        region = self.pixels[top:bottom, left:right]
        if halo:
            dark = np.clip(inside * (1 / self._halo_pixels) + 1.0, 0.0, 1.0)
            region *= 1.0 - (self._halo * halo) * (dark * dark)[..., None]
        colour = paint(t, np.arcsin(place)) if callable(paint) else paint
        region += alpha * (colour * shade[..., None] - region)

    def limb(self, start, end, widths, paint, **options):
        """Paints a tube with round ends between two joints; `widths` as in `capsule`."""
        start, end, table = capsule(start, end, widths)
        self.tube(start, end, table, paint, **options)

    def shadow(self, centre, radii, strength):
        """Darkens a soft ellipse: the contact shadow on the ground."""
        x = (self._columns - centre[0]) / radii[0]
        y = (self._rows - centre[1]) / radii[1]
        top = max(0, int(centre[1] - 2.5 * radii[1]))
        y = y[top:]
        self.pixels[top:] *= 1.0 - strength * np.exp(-(y * y))[..., None] * np.exp(-(x * x))[..., None]
