"""Writes one image, normalised, into the shuffled stripes of its place in a batch, without a copy between."""

import cv2
import numpy as np

from mmgl_tf.pipelines.augmentation.working_memory import WorkingMemory
from mmgl_tf.pipelines.decode import SCALE, SHIFT


class SlotWriter:
    """Normalises images of one size straight into their shuffled place.

    Args:
        width: columns of the images, W.
    """

    def __init__(self, width: int):
        # A whole row at a time: NumPy is several times slower when its inner loop has three elements.
        self._scale, self._shift = np.tile(SCALE, width), np.tile(SHIFT, width)

    def write(self, pixels: np.ndarray, order: np.ndarray, out: np.ndarray, memory: WorkingMemory) -> None:
        """Equals `shuffle_stripes(normalise(pixels), order)` bit for bit.

        Args:
            pixels: uint8 or float32 [H, W, C] in 0..255; with C = 1 the three channels become equal before
                they are normalised apart.
            order: integers [N], N divides H; slot i receives stripe order[i].
            out: float32 [H, W, 3], contiguous; receives the result.
            memory: the calling thread's, used with C = 1.
        """
        height = len(pixels)
        if pixels.shape[2] == 1:
            grey = pixels if pixels.dtype == np.float32 else pixels.astype(np.float32)
            pixels = cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB, dst=memory.array("rgb", out.shape, np.float32))
        rows = height // len(order)
        stripes = pixels.reshape(len(order), rows, -1)
        slots = out.reshape(len(order), rows, -1)
        for slot, stripe in zip(slots, order.tolist(), strict=True):
            np.multiply(stripes[stripe], self._scale, out=slot)
            np.add(slot, self._shift, out=slot)
