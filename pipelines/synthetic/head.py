"""Head: face, hair, hat. Features sit at azimuths around the head, so every view shows the right ones."""

import math

import numpy as np

from .clothes import band, mix
from .materials import BLACK, WHITE, tinted
from .patterns import wrap
from .tubes import capsule, ellipse, profile

_FALLING = {"long": 0.215, "bob": 0.115}
# How far down the forehead (0 crown, 1 chin) the hair reaches in front, and at the sides and back.
_HAIRLINE = {
    "short": (0.25, 0.9),
    "parted": (0.27, 0.9),
    "cropped": (0.2, 0.7),
    "bald": (-1.0, -1.0),
    "long": (0.24, 1.1),
    "bob": (0.3, 1.0),
    "ponytail": (0.22, 0.8),
    "bun": (0.22, 0.78),
    "curly": (0.28, 0.9),
    "cap": (0.3, 0.94),
    "beanie": (0.3, 0.94),
    "hood": (0.25, 0.8),
}


def _feature(offset, t, at, down, wide, tall):
    """A soft oval at azimuth `at` and height `down` on the face."""
    x, y = (offset - at) / wide, (t - down) / tall
    return np.clip(1.5 - x * x - y * y, 0.0, 1.0)


def _head_yaw(figure):
    return wrap(figure.yaw + figure.stance.head_turn)


def _half_width(figure):
    """Half-width of the head in pixels; it is longer than wide."""
    yaw = _head_yaw(figure)
    return figure.scale * figure.person.head * math.hypot(0.05 * math.cos(yaw), 0.058 * math.sin(yaw))


def hair_depth(figure):
    """Where falling hair comes in the painting order: behind the shoulders when one sees the face."""
    return -1.5 if math.cos(_head_yaw(figure)) > 0.5 else 0.003


def draw_head(figure):
    """Ears, the head with its face, and hat or hairdo."""
    person, canvas, scale = figure.person, figure.canvas, figure.scale
    chin, crown = figure.joints["chin"], figure.joints["crown"]
    yaw, half = _head_yaw(figure), _half_width(figure)
    sine, cosine = math.sin(yaw), math.cos(yaw)
    hair = figure.tone(person.hair)
    bottom = (chin[0] + 0.012 * scale * sine, chin[1] + 0.004 * scale)
    kind = person.hair_kind
    if kind == "hood":
        table = profile((0.0, 0.12, 0.45, 0.8, 1.0), [half * w for w in (0.55, 1.0, 1.3, 1.35, 1.0)])
        top = (crown[0] - 0.012 * scale * sine, crown[1] - 0.012 * scale)
        canvas.tube(
            top,
            (chin[0] - 0.01 * scale * sine, chin[1] + 0.035 * scale),
            table,
            figure.tone(person.upper.first),
        )
    skin = figure.tone(person.skin)
    ear = tinted(person.skin, 0.86)
    if kind in ("short", "parted", "cropped", "bald", "ponytail", "bun", "cap"):
        for side in (-1, 1):
            if -side * sine > -0.55:
                x = 0.5 * (chin[0] + crown[0]) + side * cosine * half * 0.98
                y = crown[1] + 0.55 * (chin[1] - crown[1])
                canvas.limb(
                    (x, y - 0.01 * scale),
                    (x, y + 0.012 * scale),
                    (0.011 * scale, 0.008 * scale),
                    figure.tone(ear),
                    halo=0.2,
                )
    if cosine > -0.25 and abs(sine) > 0.35:  # the nose stands out in a side view
        x = chin[0] + math.copysign(half * 0.97, sine) + 0.004 * scale * sine
        y = crown[1] + 0.6 * (chin[1] - crown[1])
        canvas.limb(
            (x - 0.006 * scale * sine, y - 0.014 * scale),
            (x, y),
            (0.005 * scale, 0.009 * scale),
            skin,
            halo=0.0,
        )
    table = profile(
        (0.0, 0.03, 0.1, 0.22, 0.4, 0.6, 0.8, 0.92, 0.98, 1.0),
        [half * w for w in (0.2, 0.45, 0.72, 0.92, 1.0, 0.96, 0.8, 0.58, 0.36, 0.2)],
    )
    canvas.tube(crown, bottom, table, _face(figure, yaw), halo=0.8, falloff=0.8)
    _on_top(figure, kind, yaw, half, crown, chin, hair)


def _face(figure, yaw):
    person = figure.person
    skin, hair = figure.tone(person.skin), figure.tone(person.hair)
    shade, lips = figure.tone(tinted(person.skin, 0.68)), figure.tone(tinted(person.skin, 0.6))
    dark, white = figure.tone(BLACK), figure.tone(WHITE)
    glass = 0.25 * skin if figure.look == "thermal" else figure.tone(BLACK)
    front, back = _HAIRLINE[person.hair_kind]
    parted = 0.1 * person.bag_side if person.hair_kind == "parted" else 0.0
    if figure.look == "visible":
        lips = lips * np.float32([[[1.12]], [[0.86]], [[0.86]]])

    def paint(t, bearing):
        offset = bearing - yaw
        if yaw > math.pi / 2 or yaw < -math.pi / 2:
            offset = (offset + math.pi) % (2 * math.pi) - math.pi
        away = np.abs(offset)
        colour = skin
        if abs(yaw) < 2.3:
            sockets = np.maximum(
                _feature(offset, t, -0.4, 0.47, 0.24, 0.06), _feature(offset, t, 0.4, 0.47, 0.24, 0.06)
            )
            colour = mix(colour, shade, 0.55 * sockets)
            eyes = np.maximum(_feature(away, t, 0.4, 0.485, 0.13, 0.028), 0.0)
            colour = mix(colour, white, 0.3 * eyes)
            colour = mix(colour, dark, 0.9 * _feature(away, t, 0.4, 0.485, 0.075, 0.03))
            colour = mix(colour, hair, 0.75 * _feature(away, t, 0.41, 0.4, 0.22, 0.022))
            nose = _feature(offset, t, 0.09, 0.58, 0.07, 0.1)
            nose = np.maximum(nose, _feature(offset, t, 0.0, 0.675, 0.17, 0.022))
            colour = mix(colour, shade, 0.5 * nose)
            colour = mix(colour, lips, 0.85 * _feature(offset, t, 0.0, 0.79, 0.24, 0.028))
            colour = mix(colour, shade, 0.35 * np.clip((t - 0.9) * 9, 0.0, 1.0))
            if person.beard:
                jaw = np.clip((t - 0.72) * 14, 0.0, 1.0) * np.clip((1.25 - away) * 4, 0.0, 1.0)
                mouth = _feature(offset, t, 0.0, 0.79, 0.2, 0.03)
                colour = mix(colour, hair, 0.85 * jaw * (1 - 0.8 * mouth))
            if person.glasses:
                rim = np.abs(np.hypot((away - 0.4) / 0.26, (t - 0.485) / 0.075) - 1)
                colour = mix(colour, glass, 0.9 * np.clip(1.3 - 3.2 * rim, 0.0, 1.0))
                bridge = band(t, 0.465, 0.49, 60) * ((away < 0.16) | (away > 0.66))
                colour = mix(colour, glass, 0.8 * bridge)
        # The hairline: low at the back, sideburns before the ears, a forehead in front.
        rise = np.clip((away - 0.8) * 1.5, 0.0, 1.0)
        line = front + (back - front) * rise + parted * np.clip(offset * 1.5, -1.0, 1.0)
        return mix(colour, hair, np.clip((line - t) * 22, 0.0, 1.0))

    return paint


def draw_hair_behind(figure):
    """Hair that falls down the back, or stands off the head."""
    person, canvas, scale = figure.person, figure.canvas, figure.scale
    chin, crown = figure.joints["chin"], figure.joints["crown"]
    kind, yaw, half = person.hair_kind, _head_yaw(figure), _half_width(figure)
    hair = figure.tone(person.hair)
    sine, cosine = math.sin(yaw), math.cos(yaw)
    behind = -0.022 * scale * sine
    if kind in _FALLING:
        end = (chin[0] + 1.6 * behind, crown[1] + _FALLING[kind] * scale * figure.person.head + 0.05 * scale)
        table = profile(
            (0.0, 0.06, 0.2, 0.5, 0.9, 1.0), [half * w for w in (0.4, 0.85, 1.14, 1.2, 1.22, 0.8)]
        )
        canvas.tube((crown[0] + behind, crown[1] - 0.008 * scale), end, table, hair, fold=0.16)
    elif kind == "curly":
        table = ellipse(1.28 * half, 2.6)
        canvas.tube(
            (crown[0] + behind, crown[1] - 0.022 * scale),
            (chin[0] + behind, chin[1] - 0.02 * scale),
            table,
            hair,
            fold=0.25,
        )
    elif kind == "ponytail" and cosine > -0.3:
        root = (crown[0] - 0.058 * scale * sine, crown[1] + 0.05 * scale)
        tip = (root[0] - 0.035 * scale * sine, root[1] + 0.11 * scale)
        canvas.limb(root, tip, (0.016 * scale, 0.022 * scale, 0.01 * scale), hair, fold=0.12)


def _on_top(figure, kind, yaw, half, crown, chin, hair):
    person, canvas, scale = figure.person, figure.canvas, figure.scale
    sine, cosine = math.sin(yaw), math.cos(yaw)
    tall = chin[1] - crown[1]
    if kind in ("short", "parted", "ponytail", "bun", "bob", "long"):
        # A cap of hair over the skull gives it volume beyond the head's own outline.
        lift = 0.010 * scale
        table = profile(
            (0.0, 0.12, 0.35, 0.65, 0.9, 1.0), [half * w for w in (0.3, 0.6, 0.84, 0.97, 1.02, 1.0)]
        )
        x = crown[0] - 0.006 * scale * sine
        canvas.tube((x, crown[1] - lift), (x, crown[1] + 0.26 * tall), table, hair, halo=0.0, fold=0.12)
    if kind == "ponytail" and cosine <= -0.3:
        root = (crown[0] - 0.05 * scale * sine, crown[1] + 0.05 * scale)
        canvas.limb(
            root,
            (root[0], root[1] + 0.13 * scale),
            (0.018 * scale, 0.024 * scale, 0.012 * scale),
            hair,
            fold=0.12,
        )
    if kind == "bun":
        x, y = crown[0] - 0.05 * scale * sine, crown[1] - 0.004 * scale
        canvas.limb((x, y), (x, y + 0.004 * scale), (0.026 * scale, 0.026 * scale), hair, fold=0.12)
    if kind == "beanie":
        table = profile(
            (0.0, 0.12, 0.35, 0.72, 0.75, 1.0), [half * w for w in (0.35, 0.75, 1.0, 1.06, 1.13, 1.13)]
        )
        tone, rib = figure.tone(person.hat), figure.tone(person.hat_second)
        canvas.tube(
            (crown[0], crown[1] - 0.02 * scale),
            (crown[0], crown[1] + 0.34 * tall),
            table,
            lambda t, bearing: mix(tone, rib, np.clip((t - 0.73) * 30, 0.0, 1.0)),
            fold=0.08,
        )
    if kind == "cap":
        tone, second = figure.tone(person.hat), figure.tone(person.hat_second)
        table = profile((0.0, 0.08, 0.25, 0.6, 1.0), [half * w for w in (0.3, 0.6, 0.88, 1.07, 1.1)])
        badge_at = yaw

        def paint(t, bearing):
            return mix(tone, second, _feature(bearing, t, badge_at, 0.6, 0.3, 0.22))

        canvas.tube(
            (crown[0], crown[1] - 0.016 * scale),
            (crown[0], crown[1] + 0.3 * tall),
            table,
            paint if cosine > 0 else tone,
        )
        if cosine > -0.4:
            y = crown[1] + 0.3 * tall
            tip = (crown[0] + 0.085 * scale * sine, y + 0.022 * scale * max(0.0, cosine))
            start, end, brim = capsule(
                (crown[0] + 0.02 * scale * sine - 0.03 * scale * abs(cosine), y),
                (tip[0] + 0.03 * scale * abs(cosine), tip[1]),
                (0.009 * scale, 0.011 * scale, 0.009 * scale),
            )
            canvas.tube(start, end, brim, figure.tone(tinted(person.hat, 0.8)))
