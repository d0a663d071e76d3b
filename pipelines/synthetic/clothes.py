"""Cloth, and the torso and hips in it."""

import math

import numpy as np

from .materials import tinted
from .patterns import second_tone, wrap
from .tubes import profile

# Strength of the folds in cloth.
FOLD = {"visible": 0.055, "infrared": 0.05, "thermal": 0.05}


def mix(colour, other, share):
    """Mixes `other` [C, 1, 1] into `colour` [C, 1, 1] or [C, h, w] by a share [h, w] in 0..1."""
    return colour + share * (other - colour)


def band(value, low, high, sharpness):
    """1 inside low .. high with soft edges, 0 outside."""
    return np.clip(np.minimum(value - low, high - value) * sharpness + 0.5, 0.0, 1.0)


def cloth(figure, garment, yaw, start=0.0, end=1.0, first=None, sleeve=False):
    """The paint of a garment over a stretch of it.

    Args:
        figure: the `Figure`.
        garment: a `Garment`.
        yaw: radians the part is turned by.
        start, end: where on the garment the part begins and ends (0 = its top, 1 = its hem).
        first: a tone that replaces the garment's first, e.g. for contrasting sleeves.
        sleeve: True for a sleeve, which has no print.

    Returns:
        A colour [C, 1, 1], or a function of (t, bearing) that returns one per pixel.
    """
    tone = figure.tone(garment.first if first is None else first)
    other = figure.tone(garment.second)
    pattern = garment.pattern
    if pattern.kind == "plain" or (sleeve and pattern.kind in ("print", "yoke", "two_tone")):
        return tone

    def paint(t, bearing):
        share = second_tone(pattern, bearing, start + (end - start) * t, yaw)
        return tone if isinstance(share, float) else mix(tone, other, share)

    return paint


def _evaluate(paint, t, bearing):
    return paint(t, bearing) if callable(paint) else paint


def _torso_widths(figure):
    """Half-widths of the clothed torso from the neck to the crotch."""
    person = figure.person
    loose = {"tee": 0.006, "long": 0.004, "jacket": 0.012, "coat": 0.013, "vest": 0.016}[person.upper.kind]
    places = (0.0, 0.03, 0.07, 0.13, 0.30, 0.58, 0.80, 0.93, 1.0)
    shoulder, chest, waist, hip = person.shoulder, person.chest, person.waist, person.hip
    across = (
        *(0.028, 0.048, 0.082 * shoulder, 0.107 * shoulder),
        *(0.105 * (0.5 * shoulder + 0.5 * chest), 0.087 * waist, 0.098 * hip, 0.1 * hip, 0.085 * hip),
    )
    depth = (
        0.03,
        0.04,
        0.05,
        0.06,
        0.07 * chest,
        0.062 * waist + person.belly,
        0.07 * hip,
        0.07 * hip,
        0.055,
    )
    return places, [
        figure.girth(a + loose, d + loose) * (0.6 if i == 0 else 1)
        for i, (a, d) in enumerate(zip(across, depth, strict=True))
    ]


def _upper_end(person):
    """Where the upper garment's hem is, in torso lengths below the neck."""
    low, high = {"tee": (0.8, 0.96), "long": (0.8, 0.98), "jacket": (0.76, 0.98), "vest": (0.76, 0.92)}.get(
        person.upper.kind, (1.3, 1.72)
    )
    return low + (high - low) * person.upper_length


def draw_torso(figure):
    """Neck, and the upper garment with collar, opening, straps and hem."""
    person, canvas, scale = figure.person, figure.canvas, figure.scale
    neck, pelvis = figure.joints["neck"], figure.joints["pelvis"]
    down = (pelvis[0] - neck[0], pelvis[1] + 0.02 * scale - neck[1])
    chin = figure.joints["chin"]
    canvas.limb(
        (neck[0], neck[1] + 0.02 * scale),
        (0.5 * chin[0] + 0.5 * neck[0], chin[1] - 0.02 * scale),
        (0.031 * scale, 0.029 * scale),
        figure.tone(tinted(person.skin, 0.88)),
        halo=0.0,
    )
    places, widths = _torso_widths(figure)
    end = _upper_end(person)
    places = [place / end for place in places]
    if end > 1:  # a coat goes on below the crotch and flares a little
        places, widths = places[:-1], widths[:-1]
        places.append(1.0)
        widths.append(widths[-1] * (1.08 + 0.12 * person.upper_length))
    start = (neck[0], neck[1] - 0.012 * scale)
    bottom = (neck[0] + down[0] * end, neck[1] + down[1] * end)
    paint = _upper_paint(figure, end)
    canvas.tube(start, bottom, profile(places, widths), paint, fold=FOLD[figure.look], halo=0.5, bow=0.05)
    if person.scarf is not None:
        canvas.limb(
            (neck[0] - 0.02 * scale, neck[1] + 0.012 * scale),
            (neck[0] + 0.02 * scale, neck[1] + 0.012 * scale),
            (0.034 * scale, 0.034 * scale),
            figure.tone(person.scarf),
            fold=0.1,
        )
        if figure.facing > 0.2:
            canvas.limb(
                (neck[0] + 0.02 * scale, neck[1] + 0.03 * scale),
                (neck[0] + 0.032 * scale, neck[1] + 0.15 * scale),
                (0.018 * scale, 0.021 * scale),
                figure.tone(person.scarf),
                fold=0.1,
            )


def _upper_paint(figure, end):
    person, yaw = figure.person, figure.yaw
    base = cloth(figure, person.upper, yaw)
    seam = figure.tone(tinted(person.upper.first, 0.55))
    inner, skin = figure.tone(person.inner), figure.tone(person.skin)
    kind = person.upper.kind
    front = wrap(yaw)
    opening = person.jacket_opening if kind in ("jacket", "coat") else 0.0
    sees_front = abs(front) < 1.9
    strap = person.bag_kind in ("backpack", "shoulder")
    bag = figure.tone(person.bag)

    def paint(t, bearing):
        colour = _evaluate(base, t, bearing)
        offset = bearing - front
        if sees_front:
            if opening:
                width = opening * (0.55 + 0.6 * t)
                gap = np.clip((width - np.abs(offset)) * 9 + 0.5, 0.0, 1.0)
                colour = mix(colour, inner, gap)
                edge = np.clip(1 - np.abs(np.abs(offset) - width) * 9, 0.0, 1.0)
                colour = mix(colour, seam, 0.8 * edge)
            elif kind in ("jacket", "coat", "vest"):
                line = np.clip(1 - np.abs(offset) * 11, 0.0, 1.0)
                colour = mix(colour, seam, 0.8 * line)
            depth = 0.1 if kind in ("tee", "long") else 0.16
            collar = np.clip((depth * 0.75 / end - t - 0.16 * np.abs(offset) / end) * 28, 0.0, 1.0)
            colour = mix(colour, skin if kind in ("tee", "long") else inner, collar)
        if kind in ("coat", "jacket") and sees_front:
            pocket = band(t * end, 0.7, 0.72, 40) * band(np.abs(offset), 0.35, 0.8, 12)
            colour = mix(colour, seam, 0.7 * pocket)
        hem = np.clip((t - 1 + 0.035 / end) * 40, 0.0, 1.0)
        colour = mix(colour, seam, 0.45 * hem)
        if strap:
            colour = mix(colour, bag, _straps(person, t * end, bearing, yaw))
        return colour

    return paint


def _straps(person, t, bearing, yaw):
    """Share of the bag's straps on the torso: two over the shoulders, or one across the body."""
    if person.bag_kind == "backpack":
        if abs(wrap(yaw)) > 2.0:
            return np.zeros_like(t)
        left = np.abs(bearing - wrap(yaw - 0.62))
        right = np.abs(bearing - wrap(yaw + 0.62))
        return np.clip((0.15 - np.minimum(left, right)) * 12, 0.0, 1.0) * np.clip((0.62 - t) * 20, 0.0, 1.0)
    # Position across the body rather than azimuth: one straight line seen from the front and from behind.
    line = np.sin(bearing) * math.copysign(1.0, math.cos(yaw)) * person.bag_side - (1.9 * t - 0.85)
    return np.clip((0.15 - np.abs(line)) * 9, 0.0, 1.0) * np.clip((t - 0.02) * 30, 0.0, 1.0)


def draw_lower_body(figure):
    """Pelvis with waistband and belt, and the skirt if there is one."""
    person, canvas, scale = figure.person, figure.canvas, figure.scale
    pelvis = figure.joints["pelvis"]
    places, widths = _torso_widths(figure)
    hips = [np.interp(place, places, widths) for place in (0.66, 0.8, 0.93)]
    start = figure.between("neck", "pelvis", 0.64)
    skirt = person.lower.kind in ("skirt", "long_skirt")
    if not skirt:
        end = (pelvis[0], pelvis[1] + 0.045 * scale)
        table = profile(
            (0.0, 0.3, 0.65, 0.9, 1.0), (hips[0], hips[1], hips[2], 0.8 * hips[2], 0.45 * hips[2])
        )
        span = 0.3
    else:
        drop = (0.19 if person.lower.kind == "skirt" else 0.36) * person.legs
        end = (pelvis[0], pelvis[1] + drop * scale)
        flare = 1.12 + 0.3 * (person.hip - 0.85)
        sway = max(
            abs(figure.joints[f"ankle_{side}"][0] - pelvis[0]) for side in ("left", "right")
        )  # a stride carries the hem with it
        hem = max(
            hips[2] * flare, 0.75 * sway * (0.7 if person.lower.kind == "skirt" else 1.0) + 0.04 * scale
        )
        table = profile((0.0, 0.18, 0.4, 1.0), (hips[0], hips[1], hips[2] * 1.02, hem))
        span = 1.0
    base = cloth(figure, person.lower, figure.yaw, 0.0, span)
    length = max(1.0, math.hypot(end[0] - start[0], end[1] - start[1]))
    belt = person.belt and figure.tone(person.belt)

    def paint(t, bearing):
        colour = _evaluate(base, t, bearing)
        if belt is not None:
            row = t * (length / scale)
            colour = mix(colour, belt, band(row, 0.03, 0.062, 60))
        return colour

    canvas.tube(
        start,
        end,
        table,
        paint if belt is not None else base,
        fold=FOLD[figure.look],
        halo=0.3 if skirt else 0.0,
        bow=0.07 if skirt else 0.0,
        falloff=1.0 if skirt else 0.4,
    )
