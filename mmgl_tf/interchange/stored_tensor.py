"""A tensor of a file that has not been read yet."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

FLOATS = ("float16", "bfloat16", "float32", "float64")


@dataclass(frozen=True)
class StoredTensor:
    """What a file says of a tensor, and how to get it.

    Attributes:
        shape: tuple of int.
        dtype: its number type in the file, such as "float32" or "bfloat16".
        read: function () -> NumPy array of that shape; a ValueError where the file is damaged.
    """

    shape: tuple
    dtype: str
    read: Callable

    def weights(self):
        """The tensor as weights, float32.

        Raises:
            ValueError: it is not of a floating type, or holds numbers that are not finite in float32.
        """
        if self.dtype not in FLOATS:
            raise ValueError(f"is {self.dtype}; expected weights in one of {', '.join(FLOATS)}")
        with np.errstate(over="ignore", invalid="ignore"):
            value = self.read().astype(np.float32)
        if not np.isfinite(value).all():
            bad = value.size - np.count_nonzero(np.isfinite(value))
            raise ValueError(f"has {bad} of {value.size} numbers that are not finite in float32")
        return value
