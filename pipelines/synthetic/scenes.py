"""Where the cameras hang: four panoramas per camera, and each camera's own character."""

import functools
from dataclasses import dataclass

import cv2
import numpy as np

from .dice import Dice, generator, smooth_noise

PANORAMAS = 4
# Panoramas are this many image widths wide; an image shows a window of one.
_WIDE = 4
INDOOR = {"sysu": (1, 2, 3), "regdb": ()}


@dataclass(frozen=True, eq=False)
class Camera:
    """What a camera does to every picture it takes.

    Attributes:
        gain: brightness factor.
        exposure: float32 [H, W, C], factor per pixel and channel: colour cast and vignetting.
        curve: uint8 [256], tone curve.
        blur: standard deviation of the blur in pixels at 192 rows.
        noise: standard deviation of the noise, 0..1 scale.
    """

    gain: float
    exposure: np.ndarray
    curve: np.ndarray
    blur: float
    noise: float


@functools.lru_cache(maxsize=64)
def draw_camera(seed, layout, camera, look, height):
    """The character of one camera.

    Args:
        seed: world seed.
        layout: "sysu" or "regdb".
        camera: camera number.
        look: "visible", "infrared" or "thermal".
        height: image height in pixels.

    Returns:
        A `Camera`.
    """
    dice = Dice(seed, f"camera-{layout}", camera)
    rows = np.linspace(-1, 1, height, dtype=np.float32)[:, None, None]
    columns = np.linspace(-1, 1, height // 2, dtype=np.float32)[None, :, None]
    radius = 0.55 * columns**2 + 0.45 * rows**2
    if look == "visible":
        # White balance errs along warm and cold far more than towards green and magenta.
        warm, green = dice.normal(0, 0.085), dice.normal(0, 0.02)
        cast = np.exp(np.float32([warm - green, green, -warm - green]))
        vignette, noise, blur = dice.uniform(0.05, 0.25), dice.uniform(0.012, 0.035), dice.uniform(0.25, 0.65)
    elif look == "infrared":
        cast = np.ones(1, np.float32)
        vignette, noise, blur = dice.uniform(0.35, 0.65), dice.uniform(0.024, 0.042), dice.uniform(0.35, 0.75)
    else:
        cast = np.ones(1, np.float32)
        vignette, noise, blur = dice.uniform(0.0, 0.1), dice.uniform(0.012, 0.02), dice.uniform(0.9, 1.3)
    return Camera(
        gain=dice.uniform(0.9, 1.12) * (1.22 if look == "infrared" else 1.0),
        exposure=(1.0 - vignette * radius) * cast,
        curve=np.round(255 * (np.arange(256) / 255) ** dice.uniform(0.85, 1.15)).astype(np.uint8),
        blur=blur,
        noise=noise,
    )


class _Painter:
    """Rectangles and polygons in tones that suit the camera."""

    def __init__(self, dice, look, height):
        self.dice, self.look, self.height = dice, look, height
        self.width = _WIDE * height // 2
        self.pixels = np.zeros((height, self.width, 3), np.float32)

    def tone(self, red, green, blue, spread=0.06):
        """A colour near this one; any grey to an infrared camera, cold to a thermal one."""
        if self.look == "visible":
            shift = self.dice.normal(0, spread)
            return tuple(max(0.02, c + shift + self.dice.normal(0, spread / 3)) for c in (red, green, blue))
        if self.look == "infrared":
            return (self.dice.uniform(0.14, 0.42),) * 3
        return (self.dice.uniform(0.08, 0.24),) * 3

    def box(self, left, top, right, bottom, tone):
        """A filled rectangle; coordinates in image heights."""
        h = self.height
        cv2.rectangle(
            self.pixels,
            (round(left * h), round(top * h)),
            (round(right * h) - 1, round(bottom * h) - 1),
            tone,
            -1,
        )

    def polygon(self, points, tone):
        """A filled polygon; points in image heights."""
        scaled = np.round(np.float32(points) * self.height).astype(np.int32)
        cv2.fillPoly(self.pixels, [scaled], tone)

    def line(self, start, end, tone, thickness=1):
        """A line; points in image heights, thickness in pixels."""
        h = self.height
        cv2.line(
            self.pixels,
            (round(start[0] * h), round(start[1] * h)),
            (round(end[0] * h), round(end[1] * h)),
            tone,
            thickness,
        )


def _darker(tone, factor):
    return tuple(channel * factor for channel in tone)


def _floor(painter, horizon, tone, tile):
    """A floor with tiles in perspective, seen by a camera that looks along it."""
    dice, wide = painter.dice, _WIDE / 2
    painter.box(0, horizon, wide, 1.001, tone)
    seam = _darker(tone, dice.uniform(0.72, 0.9))
    row, step = horizon, 0.012
    while row < 1:
        painter.line((0, row), (wide, row), seam)
        row += step
        step *= 1.6
    vanishing = dice.uniform(0.3, wide - 0.3)
    for i in range(-30, 31):
        painter.line((vanishing + i * tile * 0.12, horizon), (vanishing + i * tile, 1.0), seam)


def _indoor(painter):
    dice, wide = painter.dice, _WIDE / 2
    horizon = dice.uniform(0.6, 0.74)
    wall = painter.tone(0.72, 0.71, 0.66, 0.09)
    painter.box(0, 0, wide, horizon, wall)
    if dice.chance(0.5):  # tiles up to shoulder height
        low = painter.tone(0.6, 0.64, 0.66, 0.1)
        top = dice.uniform(0.25, 0.45)
        painter.box(0, top, wide, horizon, low)
        size = dice.uniform(0.05, 0.1)
        for i in range(int(wide / size) + 1):
            painter.line((i * size, top), (i * size, horizon), _darker(low, 0.86))
        for i in range(int((horizon - top) / size) + 1):
            painter.line((0, top + i * size), (wide, top + i * size), _darker(low, 0.86))
    _floor(painter, horizon, painter.tone(0.5, 0.47, 0.43, 0.1), dice.uniform(0.1, 0.22))
    painter.box(0, horizon - 0.03, wide, horizon, _darker(wall, 0.55))
    at = dice.uniform(0.0, 0.3)
    while at < wide:
        kind = dice.pick({"door": 1.0, "poster": 1.2, "column": 0.6, "window": 0.8, "cabinet": 0.7})
        if kind == "door":
            tone = painter.tone(0.42, 0.3, 0.2, 0.1)
            painter.box(at - 0.012, 0.08, at + 0.262, horizon, _darker(tone, 0.7))
            painter.box(at, 0.1, at + 0.25, horizon, tone)
            painter.box(at + 0.05, 0.16, at + 0.2, 0.34, _darker(tone, 1.25))
            painter.box(at + 0.215, 0.42, at + 0.235, 0.44, _darker(tone, 1.9))
        elif kind == "poster":
            painter.box(at, 0.18, at + 0.2, 0.44, painter.tone(0.8, 0.75, 0.6, 0.15))
            for _ in range(5):
                x, y = at + dice.uniform(0.01, 0.13), dice.uniform(0.2, 0.4)
                painter.box(
                    x,
                    y,
                    x + dice.uniform(0.02, 0.06),
                    y + dice.uniform(0.008, 0.04),
                    painter.tone(0.4, 0.4, 0.5, 0.2),
                )
        elif kind == "column":
            tone = painter.tone(0.66, 0.64, 0.6, 0.08)
            for i in range(8):
                shade = 0.75 + 0.25 * np.sin(np.pi * (i + 0.5) / 8)
                painter.box(at + 0.02 * i, 0, at + 0.02 * (i + 1), horizon + 0.02, _darker(tone, shade))
        elif kind == "window":
            painter.box(at, 0.05, at + 0.28, 0.4, painter.tone(0.35, 0.35, 0.35, 0.05))
            light = painter.tone(0.85, 0.9, 0.95, 0.05)
            painter.box(at + 0.015, 0.065, at + 0.135, 0.385, light)
            painter.box(at + 0.15, 0.065, at + 0.265, 0.385, light)
        else:
            tone = painter.tone(0.5, 0.45, 0.38, 0.12)
            painter.box(at, 0.35, at + 0.24, horizon + 0.03, tone)
            painter.line((at + 0.12, 0.36), (at + 0.12, horizon + 0.02), _darker(tone, 0.6))
            painter.box(at, 0.35, at + 0.24, 0.36, _darker(tone, 1.3))
        at += dice.uniform(0.28, 0.55)


def _leaves(painter, left, top, right, bottom, tone, cell):
    """Foliage: noise between a dark and a light green."""
    h = painter.height
    y0, y1, x0, x1 = (max(0, round(v * h)) for v in (top, bottom, left, right))
    region = painter.pixels[y0:y1, x0:x1]
    if region.size == 0:
        return
    rng = generator(painter.dice.below(1 << 30), "leaves")
    size = max(8, cell * 4)
    shape = (max(size, region.shape[0]), max(size, region.shape[1]))
    noise = 0.7 * smooth_noise(rng, *shape, cell, cell) + 0.7 * smooth_noise(rng, *shape, 5 * cell, 4 * cell)
    noise = noise[: region.shape[0], : region.shape[1]]
    region[:] = np.float32(tone) * np.clip(1.0 + 0.3 * noise, 0.35, 1.7)[..., None]


def _outdoor(painter):
    dice, wide = painter.dice, _WIDE / 2
    horizon = dice.uniform(0.5, 0.68)
    cell = max(2, round(3 * painter.height / 192))
    painter.box(0, 0, wide, horizon, painter.tone(0.72, 0.8, 0.88, 0.08))
    at = 0.0
    while at < wide:
        width = dice.uniform(0.35, 0.9)
        top = dice.uniform(-0.3, 0.12)
        if dice.chance(0.6):
            tone = painter.tone(0.62, 0.5, 0.42, 0.12)
            painter.box(at, top, at + width, horizon, tone)
            pane = painter.tone(0.25, 0.3, 0.36, 0.06)
            across, down = dice.uniform(0.1, 0.16), dice.uniform(0.14, 0.2)
            for i in range(int(width / across)):
                for j in range(int((horizon - top) / down)):
                    x, y = at + (i + 0.25) * across, top + (j + 0.2) * down
                    painter.box(x, y, x + 0.55 * across, y + 0.6 * down, pane)
        else:
            _leaves(
                painter,
                at,
                max(0.0, top),
                at + width,
                horizon,
                painter.tone(0.33, 0.38, 0.26, 0.05),
                2 * cell,
            )
        at += width
    hedge = horizon - dice.uniform(0.0, 0.16)
    _leaves(painter, 0, hedge, wide, horizon + 0.02, painter.tone(0.27, 0.33, 0.22, 0.05), cell)
    _floor(painter, horizon, painter.tone(0.56, 0.54, 0.5, 0.08), dice.uniform(0.14, 0.3))
    if dice.chance(0.6):
        _leaves(
            painter,
            0,
            horizon,
            wide,
            horizon + dice.uniform(0.03, 0.1),
            painter.tone(0.38, 0.43, 0.28, 0.05),
            cell,
        )
    for _ in range(dice.below(4)):
        x, w = dice.uniform(0, wide), dice.uniform(0.03, 0.08)
        painter.box(x, 0, x + w, horizon + 0.04, painter.tone(0.3, 0.24, 0.18, 0.06))
    for _ in range(dice.below(3)):  # lamp posts
        x = dice.uniform(0, wide)
        painter.box(x, 0, x + 0.014, horizon + 0.06, painter.tone(0.3, 0.32, 0.34, 0.08))


@functools.lru_cache(maxsize=64)
def draw_panorama(seed, layout, camera, index, look, height):
    """One of a camera's backgrounds.

    Args:
        seed, layout, camera, look, height: as in `draw_camera`.
        index: 0 .. PANORAMAS - 1.

    Returns:
        float32 [C, height, 2 * height], 0..1, C = 3 for visible cameras and 1 for the others.
    """
    dice = Dice(seed, f"panorama-{layout}", camera, index)
    painter = _Painter(dice, look, height)
    if camera in INDOOR[layout]:
        _indoor(painter)
    else:
        _outdoor(painter)
    pixels = painter.pixels
    h, w = pixels.shape[:2]
    rng = generator(seed, f"panorama-light-{layout}", camera, index)
    light = 1 + 0.07 * smooth_noise(rng, h, w, 40 * h / 192, 40 * h / 192)
    texture = 1 + 0.025 * smooth_noise(rng, h, w, 2, 2)
    pixels = cv2.GaussianBlur(pixels * (light * texture)[..., None], (0, 0), 0.9 * height / 192)
    if look == "infrared":
        # The lamp sits at the camera: what is behind the person gets little of it.
        pixels = pixels * 0.85
    if look == "thermal":
        pixels = cv2.GaussianBlur(pixels, (0, 0), 2.0 * height / 192)
    planes = pixels.transpose(2, 0, 1)
    return np.ascontiguousarray(planes if look == "visible" else planes[:1])
