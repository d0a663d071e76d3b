"""From sRGB to CIE L*a*b* under daylight D65 (IEC 61966-2-1, CIE 15).

OpenCV's own conversion of float32 images looks up a coarse table, and is off by up to 0.4 in a. What grey
levels there are is known beforehand, so that here a table holds each of them exactly.
"""

import cv2
import numpy as np

# Rows: X, Y, Z of linear red, green, blue, over those of white.
_WHITE = np.array([[0.95047], [1.0], [1.08883]])
_TO_XYZ = (
    np.array(
        [
            [0.4124564, 0.3575761, 0.1804375],
            [0.2126729, 0.7151522, 0.0721750],
            [0.0193339, 0.1191920, 0.9503041],
        ]
    )
    / _WHITE
).astype(np.float32)
# L = 116 y - 16, a = 500 (x - y), b = 200 (y - z), of the roots x, y, z.
_TO_LAB = np.array([[0, 116, 0, -16], [500, -500, 0, 0], [0, 200, -200, 0]], np.float32)
_KNEE = np.float32((6 / 29) ** 3)


def lab_of(image: np.ndarray) -> np.ndarray:
    """Lightness and colour of each pixel.

    With R, G, B linear and X, Y, Z those of white 1: L = 116 f(Y) - 16, a = 500 (f(X) - f(Y)), b =
    200 (f(Y) - f(Z)), where f(t) = t^(1/3) above (6/29)^3, else (29/6)^2 t / 3 + 4/29.

    Args:
        image: uint8 or float32 [H, W, C] in 0..255, sRGB; with C = 1 the channels are equal.

    Returns:
        float32 [H, W, 3]: L in 0..100; a (green to red) and b (blue to yellow), about -110..110.
    """
    linear = _linear(image)
    if linear.shape[2] == 1:
        linear = cv2.cvtColor(linear, cv2.COLOR_GRAY2RGB)
    return cv2.transform(_root(cv2.transform(linear, _TO_XYZ)), _TO_LAB)


def lightness_of(image: np.ndarray) -> np.ndarray:
    """L alone, at a third of the cost.

    Args:
        image: as in `lab_of`.

    Returns:
        float32 [H, W] in 0..100.
    """
    linear = _linear(image)
    light = linear[:, :, 0] if linear.shape[2] == 1 else cv2.transform(linear, _TO_XYZ[1:2])
    return _root(light) * np.float32(116) - np.float32(16)


def rgb_of(lab: np.ndarray) -> np.ndarray:
    """The inverse, for the eye.

    Args:
        lab: float [H, W, 3]; colours that sRGB has not are clipped channel by channel.

    Returns:
        uint8 [H, W, 3].
    """
    rgb = cv2.cvtColor(np.asarray(lab, np.float32), cv2.COLOR_Lab2RGB)
    return np.rint(np.clip(rgb, 0.0, 1.0) * 255.0).astype(np.uint8)


def _linear(image):
    """float32 [H, W, C] in 0..1, in proportion to light."""
    if image.dtype == np.uint8:
        return cv2.LUT(image, _LINEAR).reshape(image.shape)
    return _without_gamma(image.reshape(len(image), -1) / np.float32(255)).reshape(image.shape)


def _without_gamma(share):
    curved = cv2.pow((share + np.float32(0.055)) / np.float32(1.055), 2.4)
    return np.where(share <= 0.04045, share / np.float32(12.92), curved)


def _root(light):
    """f of `lab_of`."""
    # Rounding may leave black below 0, which has no root; below the knee it is not used anyway.
    root = cv2.pow(np.maximum(light, _KNEE), 1 / 3).reshape(light.shape)
    return np.where(light > _KNEE, root, light * np.float32((29 / 6) ** 2 / 3) + np.float32(4 / 29))


_LINEAR = _without_gamma(np.arange(256, dtype=np.float32)[None] / np.float32(255))
