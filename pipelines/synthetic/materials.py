"""Cloth, skin and hair: one visible colour, one near-infrared reflectance and one warmth each.

The three are drawn independently. That is what makes the task cross-modal: with infrared tied to visible
luminance, grey pixels alone would match people across cameras.
"""

from dataclasses import dataclass

import numpy as np

_GARMENT_COLOURS = {
    (0.07, 0.07, 0.08): 1.5,  # black
    (0.22, 0.23, 0.25): 1.2,  # charcoal
    (0.48, 0.49, 0.50): 1.2,  # grey
    (0.90, 0.90, 0.88): 1.3,  # white
    (0.10, 0.14, 0.30): 1.3,  # navy
    (0.22, 0.32, 0.50): 1.0,  # denim
    (0.52, 0.63, 0.75): 0.8,  # washed denim
    (0.66, 0.57, 0.42): 0.9,  # khaki
    (0.34, 0.36, 0.22): 0.8,  # olive
    (0.36, 0.24, 0.16): 0.8,  # brown
    (0.42, 0.10, 0.15): 0.7,  # burgundy
    (0.74, 0.14, 0.14): 0.8,  # red
    (0.86, 0.46, 0.16): 0.5,  # orange
    (0.82, 0.68, 0.24): 0.5,  # mustard
    (0.16, 0.42, 0.24): 0.6,  # green
    (0.10, 0.45, 0.46): 0.6,  # teal
    (0.38, 0.60, 0.82): 0.7,  # sky
    (0.38, 0.24, 0.52): 0.5,  # purple
    (0.85, 0.56, 0.62): 0.5,  # pink
    (0.82, 0.76, 0.64): 0.8,  # beige
}
_SKIN_COLOURS = {
    (0.94, 0.77, 0.66): 3.0,
    (0.88, 0.68, 0.54): 3.0,
    (0.77, 0.56, 0.42): 2.0,
    (0.60, 0.41, 0.29): 1.5,
    (0.42, 0.28, 0.20): 1.0,
}
_HAIR_COLOURS = {
    (0.07, 0.06, 0.06): 4.0,
    (0.19, 0.12, 0.08): 3.0,
    (0.38, 0.25, 0.15): 2.0,
    (0.72, 0.56, 0.32): 1.2,
    (0.50, 0.24, 0.13): 0.6,
    (0.62, 0.61, 0.60): 1.0,
}


@dataclass(frozen=True, eq=False)
class Material:
    """What a surface looks like to each kind of camera.

    Attributes:
        visible: float32 [3, 1, 1], RGB, 0..1.
        infrared: float32 [1, 1, 1], near-infrared reflectance, 0..1.
        thermal: float32 [1, 1, 1], apparent warmth, 0 (as cold as the street) .. 1 (bare skin).
    """

    visible: np.ndarray
    infrared: np.ndarray
    thermal: np.ndarray

    @property
    def luminance(self):
        """Rec. 601 luminance of the visible colour, 0..1."""
        return float(self.visible.ravel() @ np.float32([0.299, 0.587, 0.114]))


def _material(colour, infrared, thermal):
    return Material(
        np.clip(np.float32(colour), 0.03, 0.97).reshape(3, 1, 1),
        np.float32([[[min(0.95, max(0.06, infrared))]]]),
        np.float32([[[min(1.0, max(0.05, thermal))]]]),
    )


def _jittered(dice, palette, sd=0.035):
    red, green, blue = dice.pick(palette)
    common = dice.normal(0, sd)
    return tuple(channel + common + dice.normal(0, sd * 0.5) for channel in (red, green, blue))


def draw_garment(dice, warmth=0.5, unlike=None):
    """Cloth of any colour; infrared reflectance is uniform on .12 .. .88 whatever the colour.

    Args:
        dice: a `Dice`.
        warmth: mean thermal value, 0..1: thin cloth lets more of the body's warmth through.
        unlike: a `Material` whose colour this one must not come near: the wearer's skin, or trousers of its
            colour would look like none.
    """
    for _ in range(12):
        colour = _jittered(dice, _GARMENT_COLOURS)
        if unlike is None or float(np.abs(np.float32(colour) - unlike.visible.ravel()).max()) > 0.25:
            break
    return _material(colour, dice.uniform(0.12, 0.88), warmth + dice.uniform(-0.13, 0.13))


def draw_second_tone(dice, first):
    """The other tone of a patterned garment: another colour, and an infrared contrast of its own.

    The infrared contrast is at least .18, with a sign independent of the visible one, so about half of the
    patterns appear inverted; 12 % fade out in infrared, as some dyes do.

    Args:
        dice: a `Dice`.
        first: the garment's first `Material`.
    """
    for _ in range(12):
        colour = _jittered(dice, _GARMENT_COLOURS)
        if float(np.abs(np.float32(colour) - first.visible.ravel()).max()) > 0.28:
            break
    base = float(first.infrared.item())
    sign, contrast, fades = dice.sign(), dice.uniform(0.2, 0.45), dice.chance(0.12)
    if fades:
        contrast *= 0.1
    elif not 0.08 < base + sign * contrast < 0.94:
        sign = -sign
    return _material(colour, base + sign * contrast, float(first.thermal.item()) + dice.uniform(-0.05, 0.05))


def draw_skin(dice):
    """Skin: bright in near infrared whatever its colour, and the warmest surface."""
    return _material(_jittered(dice, _SKIN_COLOURS, 0.02), dice.uniform(0.55, 0.78), dice.uniform(0.86, 0.98))


def draw_hair(dice):
    """Hair: any infrared reflectance, half-warm."""
    return _material(_jittered(dice, _HAIR_COLOURS, 0.02), dice.uniform(0.15, 0.75), dice.uniform(0.5, 0.66))


def tinted(material, factor):
    """The same surface, darker or lighter in every band: lips, brows, seams."""
    return Material(material.visible * factor, material.infrared * factor, material.thermal)


BLACK = _material((0.05, 0.05, 0.06), 0.12, 0.6)
WHITE = _material((0.93, 0.93, 0.93), 0.85, 0.8)
