"""Arrays that are used again once nobody looks at them any more.

A batch of 48 images takes 24 MB. Fresh memory of that size comes from the system page by page, each page
zeroed on first touch, which costs as much time as a third of the augmentation.
"""

import sys
import threading

import numpy as np

# TensorFlow shares the memory of arrays that start at such an address, and copies others.
_ALIGNMENT = 64
# The pool's own reference, and the argument of getrefcount.
_UNUSED_REFERENCES = 2
# More than are ever prefetched, under way and in use together. Whoever keeps more gets fresh arrays.
_MOST = 12


class BufferPool:
    """Hands out uninitialised arrays of one shape.

    Memory is free when only the pool refers to it. Every array, every view of one, and every tensor that
    shares it (as `tf.numpy_function` makes them) holds a reference to the memory and so keeps it from
    being handed out again. Counting is safe, as references are made and dropped under the interpreter
    lock alone.

    Args:
        shape: shape of the arrays.
        dtype: their type.
    """

    def __init__(self, shape: tuple[int, ...], dtype=np.float32):
        self._shape, self._dtype = shape, np.dtype(dtype)
        self._bytes = int(np.prod(shape)) * self._dtype.itemsize
        self._memories: list[np.ndarray] = []
        self._lock = threading.Lock()

    def take(self) -> np.ndarray:
        """Returns an array whose contents are arbitrary; drop it to give it back."""
        with self._lock:
            for place in range(len(self._memories)):
                if sys.getrefcount(self._memories[place]) == _UNUSED_REFERENCES:
                    return self._array(self._memories[place])
            memory = np.empty(self._bytes + _ALIGNMENT, np.uint8)
            if len(self._memories) < _MOST:
                self._memories.append(memory)
            return self._array(memory)

    def _array(self, memory):
        start = -memory.__array_interface__["data"][0] % _ALIGNMENT
        return memory[start : start + self._bytes].view(self._dtype).reshape(self._shape)
