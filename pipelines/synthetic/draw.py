"""One picture of one person, from its numbers alone."""

import math

import cv2
import numpy as np

from .dice import Dice, noise_banks
from .figure import draw_figure
from .people import draw_person
from .pose import draw_stance
from .scenes import PANORAMAS, draw_camera, draw_panorama
from .tubes import Canvas

_HALO = {"visible": 0.22, "infrared": 0.34, "thermal": 0.2}
_FALLOFF = {"visible": 0.26, "infrared": 0.42, "thermal": 0.2}


def draw_image(spec, identity, camera, frame):
    """Draws one image; any image can be drawn alone and in any order.

    Args:
        spec: a `WorldSpec`.
        identity: 1 .. spec.identities.
        camera: one of spec.cameras.
        frame: frame number, from 1.

    Returns:
        uint8 [H, W, 3], RGB; three equal channels for infrared cameras.

    Raises:
        ValueError: where a number is out of range.
    """
    if not 1 <= identity <= spec.identities:
        raise ValueError(f"identity is {identity}; this world has the identities 1 to {spec.identities}.")
    if frame < 1:
        raise ValueError(f"frame is {frame}; frames are numbered from 1.")
    look = spec.look(camera)
    height, width, seed = spec.height, spec.width, spec.seed
    person = draw_person(seed, identity, spec.layout)
    # RegDB's two cameras take one moment: its frames share pose and view, so their key has no camera.
    paired = spec.layout == "regdb"
    moment = (
        Dice(seed, "moment-regdb", identity, frame)
        if paired
        else Dice(seed, "moment", identity, camera, frame)
    )
    stance = draw_stance(moment, person)
    loose = moment.chance(0.15)
    tall = height * moment.uniform(0.83, 0.96) * (moment.uniform(0.72, 0.88) if loose else 1.0)
    ground = height * (moment.uniform(0.955, 0.985) - (moment.uniform(0.0, 0.1) if loose else 0.0))
    centre = width * (0.5 + moment.normal(0, 0.05 if loose else 0.025))
    flip = moment.chance(0.5)
    covered = moment.chance(0.16)

    dice = Dice(seed, f"image-{spec.layout}", identity, camera, frame)
    panorama = draw_panorama(seed, spec.layout, camera, dice.below(PANORAMAS), look, height)
    left = dice.below(panorama.shape[2] - width + 1)
    pixels = panorama[:, :, left : left + width].copy()
    grain, folds, _ = noise_banks(seed, height)
    light = (dice.normal(0, 0.13), -0.06) if look == "visible" else (dice.normal(0, 0.05), -0.02)
    top, aside = dice.below(height), dice.below(height)
    canvas = Canvas(pixels, light, _FALLOFF[look], _HALO[look], folds[top:, aside:])
    draw_figure(canvas, person, stance, centre, ground, tall * person.height, look)
    if covered:
        _occlude(moment, canvas, look, height, width)
    return _expose(spec, dice, canvas.pixels, camera, look, grain, flip)


def _occlude(dice, canvas, look, height, width):
    """Puts something in front of the person: a pillar at the side, or a low wall."""
    grey = dice.uniform(0.15, 0.65)
    tints = [grey * dice.uniform(0.85, 1.15) for _ in range(3)]
    tone = np.float32(tints if look == "visible" else [0.15 + 0.3 * grey]).reshape(-1, 1, 1)
    if dice.chance(0.5):
        wide = round(width * dice.uniform(0.12, 0.26))
        left = 0 if dice.chance(0.5) else width - wide
        shade = 0.75 + 0.25 * np.sin(np.linspace(0.3, math.pi - 0.3, wide, dtype=np.float32))
        canvas.pixels[:, :, left : left + wide] = tone * shade
    else:
        tall = round(height * dice.uniform(0.1, 0.24))
        shade = np.linspace(1.15, 0.8, tall, dtype=np.float32)
        canvas.pixels[:, height - tall :] = tone * shade[:, None]
        canvas.pixels[:, height - tall : height - tall + max(1, height // 96)] *= 1.3


def _expose(spec, dice, planes, camera, look, grain, flip):
    """What light and camera make of the scene: float32 [C, H, W] to uint8 [H, W, 3]."""
    height, width = spec.height, spec.width
    character = draw_camera(spec.seed, spec.layout, camera, look, height)
    blur = max(0.2, character.blur * dice.uniform(0.7, 1.3) * height / 192)
    pixels = cv2.GaussianBlur(cv2.merge(list(planes)), (0, 0), blur).reshape(height, width, -1)
    pixels *= character.exposure
    pixels *= np.float32(255 * character.gain * math.exp(dice.normal(0, 0.14)))
    top, left = dice.below(height), dice.below(grain.shape[1] - width)
    pixels += grain[top : top + height, left : left + width, : pixels.shape[2]] * np.float32(
        255 * character.noise
    )
    np.maximum(pixels, 0, out=pixels)
    np.minimum(pixels, 255, out=pixels)
    levels = cv2.LUT(pixels.astype(np.uint8), character.curve).reshape(height, width, -1)
    if flip:
        levels = levels[:, ::-1]
    return np.ascontiguousarray(levels) if look == "visible" else np.repeat(levels, 3, axis=2)
