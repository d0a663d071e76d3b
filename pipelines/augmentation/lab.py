"""From sRGB to CIE L*a*b* under daylight D65 (IEC 61966-2-1, CIE 15)."""

import cv2
import numpy as np


def lab_of(image: np.ndarray) -> np.ndarray:
    """Lightness and colour of each pixel.

    Args:
        image: uint8 or float32 [H, W, C] in 0..255, sRGB; with C = 1 the channels are equal.

    Returns:
        float32 [H, W, 3]: L in 0..100; a (green to red) and b (blue to yellow), about -110..110.
    """
    rgb = image.astype(np.float32) / np.float32(255)
    if rgb.shape[2] == 1:
        rgb = cv2.cvtColor(rgb, cv2.COLOR_GRAY2RGB)
    return cv2.cvtColor(rgb, cv2.COLOR_RGB2Lab)


def rgb_of(lab: np.ndarray) -> np.ndarray:
    """The inverse, for the eye.

    Args:
        lab: float [H, W, 3]; colours that sRGB has not are clipped channel by channel.

    Returns:
        uint8 [H, W, 3].
    """
    rgb = cv2.cvtColor(np.asarray(lab, np.float32), cv2.COLOR_Lab2RGB)
    return np.rint(np.clip(rgb, 0.0, 1.0) * 255.0).astype(np.uint8)
