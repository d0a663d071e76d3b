"""The grey level of a colour, as Pillow's `convert("L")` has it (ITU-R 601-2 luma)."""

import cv2
import numpy as np

from mmgl_tf.pipelines.augmentation.working_memory import WorkingMemory

# Sixteen bits of fraction and a half, as Pillow rounds. Every sum is a multiple of 2**-16 below 2**8, which
# float32 holds exactly, in whatever order it is added up.
_LUMA = np.array([[19595, 38470, 7471, 32768]], np.float32) / np.float32(65536)


def grey_levels(image: np.ndarray, memory: WorkingMemory) -> np.ndarray:
    """L = (19595 R + 38470 G + 7471 B + 32768) // 65536.

    Args:
        image: uint8 [H, W, C], C = 1 or 3.
        memory: holds the result, until it is asked again.

    Returns:
        uint8 [H, W, 1]; `image` itself if C = 1.
    """
    if image.shape[2] == 1:
        return image
    pixels = memory.array("pixels", image.shape, np.float32)
    np.copyto(pixels, image)
    return grey_levels_of(pixels, memory)


def grey_levels_of(pixels: np.ndarray, memory: WorkingMemory) -> np.ndarray:
    """The same of levels that are float32 [H, W, 3] already; whole numbers."""
    levels = memory.array("grey levels", pixels.shape[:2], np.float32)
    cv2.transform(pixels, _LUMA, dst=levels)
    grey = memory.array("grey", (*levels.shape, 1))
    np.copyto(grey[:, :, 0], levels, casting="unsafe")
    return grey
