"""The one brush: a tube with a width profile, shaded as a round body, on a float canvas."""

import math

import numpy as np

_STEPS = 96
_OUTSIDE = -100.0
# Positions of the table's entries; the first and the last lie outside of the tube.
_PARAMETER = np.concatenate([[-1.0], np.linspace(0.0, 1.0, _STEPS), [2.0]])
# A quarter circle: how far along a round end, and how wide there.
_ROUND = [(1 - math.cos(a), math.sin(a)) for a in (0.0, 0.25, 0.5, 0.8, 1.15)]


def _table(places, widths):
    return np.interp(_PARAMETER, places, widths, left=_OUTSIDE, right=_OUTSIDE).astype(np.float32)


def profile(places, widths):
    """A table of half-widths along a tube.

    Args:
        places: increasing positions from 0 to 1.
        widths: half-width in pixels at each.

    Returns:
        float32 [98]: half-width in pixels at 96 positions, between two sentinels that mean "outside".
    """
    return _table(places, widths)


def ellipse(half_width, power=2.0):
    """The profile of a closed oval; a higher power is boxier."""
    x = np.abs(2 * _PARAMETER[1:-1] - 1)
    return _table(_PARAMETER[1:-1], half_width * (1 - x**power) ** (1 / power))


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
    step = length / (len(widths) - 1)
    places = [first * x / whole for x, _ in _ROUND]
    places += [(first + i * step) / whole for i in range(len(widths))]
    places += [1 - last * x / whole for x, _ in reversed(_ROUND)]
    table = [first * y for _, y in _ROUND] + list(widths) + [last * y for _, y in reversed(_ROUND)]
    return (
        (start[0] - ux * first, start[1] - uy * first),
        (end[0] + ux * last, end[1] + uy * last),
        _table(places, table),
    )


def _unit(values):
    """Cuts an array to 0..1 in place; for small arrays several times as fast as `numpy.clip`."""
    np.maximum(values, 0.0, out=values)
    return np.minimum(values, 1.0, out=values)


class Canvas:
    """A float image that tubes are painted on, back to front.

    Attributes:
        pixels: float32 [C, H, W], 0..1; planes first, so that a mask broadcasts over contiguous rows.
    """

    def __init__(self, pixels, light, falloff, halo, folds):
        """Starts on a background.

        Args:
            pixels: float32 [C, H, W], 0..1; painted on in place.
            light: (across, down) direction of the side light, each about -.3 .. .3.
            falloff: how much darker a round body is at its edge, 0..1.
            halo: how much a part darkens what lies right behind its edge, 0..1. It keeps an arm apart from a
                torso of the same cloth.
            folds: float32 [h, w] noise of unit spread, larger than the canvas.
        """
        self.pixels = pixels
        height, width = pixels.shape[1:]
        self._columns = np.arange(width, dtype=np.float32)[None, :]
        self._rows = np.arange(height, dtype=np.float32)[:, None]
        self._light = light
        self._falloff = falloff
        self._halo = halo
        self._halo_pixels = 3.0 * height / 192
        self._folds = folds

    def tube(self, start, end, table, paint, halo=1.0, fold=0.0, falloff=1.0, fade=False, bow=0.0):
        """Paints one tube.

        Args:
            start, end: (column, row) of the axis' ends in pixels.
            table: half-widths, from `profile`, `ellipse` or `capsule`.
            paint: colour float32 [C, 1, 1], or a function of (t, bearing), float32 [h, w] each, that
                returns a colour [C, h, w]; t runs from 0 at start to 1 at end, bearing is the
                arcsine of the position across.
            halo, falloff: factors on the canvas' own.
            fold: strength of the folds in the cloth.
            fade: True weakens the halo towards the ends, where a limb grows out of the next.
            bow: how far the far end bulges in its middle, in tube lengths: the rim of a hem seen from above.
        """
        ax, ay = start[0], start[1]
        dx, dy = end[0] - ax, end[1] - ay
        length = max(math.hypot(dx, dy), 1e-3)
        ux, uy = dx / length, dy / length
        reach = float(table.max()) + 2 + self._halo_pixels
        height, width = self.pixels.shape[1:]
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
        if bow:
            edge = across * (1 / float(table.max()))
            t = t - (bow * t) * (1.0 - edge * edge)
        half = table.take((t * _STEPS + 1).astype(np.int32), mode="clip")
        inside = half - np.abs(across)
        alpha = _unit(inside + 0.5)
        place = across / np.maximum(half, 0.7)
        np.maximum(place, -1.0, out=place)
        np.minimum(place, 1.0, out=place)
        side = self._light[0] * uy - self._light[1] * ux
        shade = place * (side - place * (self._falloff * falloff))
        shade += 1.0
        if fold:
            shade += fold * self._folds[top:bottom, left:right]
        region = self.pixels[:, top:bottom, left:right]
        if halo:
            dark = _unit(inside * (1 / self._halo_pixels) + 1.0)
            dark *= dark
            if fade:
                dark *= _unit(np.minimum(2.5 * t - 0.4, 6 - 6 * t))
            dark *= -self._halo * halo
            dark += 1.0
            region *= dark
        colour = (paint(t, np.arcsin(place)) if callable(paint) else paint) * shade
        colour -= region
        colour *= alpha
        region += colour

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
        self.pixels[:, top:] *= 1.0 - strength * np.exp(-(y * y)) * np.exp(-(x * x))
