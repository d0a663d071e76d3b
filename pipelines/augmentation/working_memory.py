"""Arrays that a thread works in, made once: fresh memory comes from the system page by page."""

import math
import threading

import numpy as np

from mmgl_tf.pipelines.augmentation.pixel_operations import Scratch


class WorkingMemory:
    """Uninitialised arrays by name, shape and type. Not to be shared by threads."""

    def __init__(self):
        self._arrays = {}
        self._scratches = {}

    def array(self, name: str, shape: tuple[int, ...], dtype=np.uint8) -> np.ndarray:
        """The array of that name; whoever asks for the same again overwrites it."""
        key = (name, shape, dtype)
        found = self._arrays.get(key)
        if found is None:
            found = self._arrays[key] = np.empty(shape, dtype)
        return found

    def varying(self, name: str, shape: tuple[int, ...], dtype=np.uint8) -> np.ndarray:
        """As `array`, where there are more shapes than can be kept: of the size of the next power of two."""
        size = math.prod(shape)
        return self.array(name, (1 << (size - 1).bit_length(),), dtype)[:size].reshape(shape)

    def other(self, image: np.ndarray, shape: tuple[int, ...] = ()) -> np.ndarray:
        """A uint8 array for the result of an operation on `image`.

        Args:
            image: what is read while the result is written.
            shape: of the result; that of `image` if left out.

        Returns:
            One of two arrays of that shape, whichever is not `image`.
        """
        shape = shape or image.shape
        first = self.array("first", shape)
        return self.array("second", shape) if first is image else first

    def scratch(self, height: int, width: int, channels: int) -> Scratch:
        """AugMix's working memory for images of that size."""
        key = (height, width, channels)
        if key not in self._scratches:
            self._scratches[key] = Scratch(*key)
        return self._scratches[key]


_OF_THREAD = threading.local()


def working_memory() -> WorkingMemory:
    """The calling thread's own, shared by all that it makes."""
    if not hasattr(_OF_THREAD, "memory"):
        _OF_THREAD.memory = WorkingMemory()
    return _OF_THREAD.memory
