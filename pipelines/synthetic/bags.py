"""Bags: on the back, over the shoulder, in the hand, at the waist."""

import math

import numpy as np

from .clothes import band, mix
from .materials import tinted
from .patterns import wrap
from .tubes import ellipse, profile


def parts(figure):
    """The bag's parts with their place in the painting order.

    Args:
        figure: the `Figure`.

    Returns:
        List of (depth, function of the figure).
    """
    person = figure.person
    kind, facing = person.bag_kind, figure.facing
    side_depth = -math.sin(figure.yaw) * person.bag_side
    if kind == "backpack":
        # Behind everything in a frontal view; over the torso, and before a near arm, from the side and back.
        return [(-3.0 if facing > 0.25 else 0.002, _backpack)]
    if kind == "shoulder":
        return [(0.3 if side_depth > -0.55 else -3.0, _shoulder_bag)]
    if kind == "hand":
        side = "left" if person.bag_side < 0 else "right"
        depth = figure.joints[f"wrist_{side}"][2]
        return [(depth + 0.0121 if depth > 0 else -3.0, _hand_bag)]
    if kind == "waist":
        return [(0.001, _waist_bag)]
    return []


def _panel(figure, pocket=0.55):
    tone, second = figure.tone(figure.person.bag), figure.tone(figure.person.bag_second)
    seam = figure.tone(tinted(figure.person.bag, 0.6))

    def paint(t, bearing):
        colour = mix(tone, second, band(t, pocket, 0.88, 30) * band(bearing, -0.85, 0.85, 8))
        return mix(colour, seam, 0.8 * band(t, 0.24, 0.28, 40))

    return paint


def _backpack(figure):
    person, scale = figure.person, figure.scale
    size = person.bag_size
    out = -math.sin(figure.yaw) * 0.105 * scale  # behind the back is away from where the person looks
    neck = figure.joints["neck"]
    top = (neck[0] + out, neck[1] + 0.035 * scale)
    bottom = (
        top[0] - 0.15 * (figure.joints["neck"][0] - figure.joints["pelvis"][0]),
        top[1] + 0.225 * scale * size,
    )
    half = figure.girth(0.098, 0.062) * size
    table = ellipse(half, 4.5)
    facing = abs(wrap(figure.yaw)) < 1.2
    tone = figure.tone(person.bag)
    figure.canvas.tube(top, bottom, table, tone if facing else _panel(figure), halo=0.8, fold=0.04)


def _shoulder_bag(figure):
    person, scale = figure.person, figure.scale
    x = figure.joints["pelvis"][0] + person.bag_side * math.cos(figure.yaw) * 0.105 * scale * person.hip
    y = figure.joints["pelvis"][1] - 0.035 * scale
    half = 0.062 * scale * person.bag_size * (0.65 + 0.35 * abs(math.sin(figure.yaw)))
    figure.canvas.tube(
        (x, y), (x, y + 0.115 * scale * person.bag_size), ellipse(half, 5.0), _panel(figure, 2.0), fold=0.04
    )


def _hand_bag(figure):
    person, scale = figure.person, figure.scale
    side = "left" if person.bag_side < 0 else "right"
    x, y, _ = figure.joints[f"fingers_{side}"]
    size = person.bag_size * scale
    half = 0.055 * size * (0.55 + 0.45 * abs(math.sin(figure.yaw)))
    tone = figure.tone(tinted(person.bag, 0.7))
    for shift in (-0.5, 0.5):
        figure.canvas.limb(
            (x, y), (x + shift * half, y + 0.045 * size), (0.005 * scale, 0.005 * scale), tone, halo=0.2
        )
    table = profile((0.0, 0.06, 0.5, 0.95, 1.0), [half * w for w in (0.8, 0.9, 1.0, 1.08, 0.95)])
    figure.canvas.tube((x, y + 0.042 * size), (x, y + 0.155 * size), table, _panel(figure, 0.5), fold=0.03)


def _waist_bag(figure):
    person, scale = figure.person, figure.scale
    waist = figure.between("neck", "pelvis", 0.74)
    azimuth = 0.35 * person.bag_side
    place = math.sin(azimuth + figure.yaw)
    depth = math.cos(azimuth + figure.yaw)
    strap = figure.girth(0.1, 0.08)
    tone = figure.tone(person.bag)
    figure.canvas.tube(
        (waist[0], waist[1] - 0.009 * scale),
        (waist[0], waist[1] + 0.009 * scale),
        profile((0, 1), (strap, strap)),
        tone,
        halo=0.3,
    )
    if depth > -0.35:
        x = waist[0] + place * 0.095 * scale
        half = 0.045 * scale * person.bag_size * max(0.5, math.sqrt(np.clip(depth + 0.2, 0.0, 1.0)))
        top, bottom = waist[1] - 0.024 * scale, waist[1] + 0.036 * scale
        figure.canvas.tube((x, top), (x, bottom), ellipse(half, 4.0), _panel(figure, 2.0))
