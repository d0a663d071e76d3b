"""Vectors scaled to unit length, the form in which embeddings are compared."""

import numpy as np


def unit_length(vectors, dtype=None):
    """Vectors scaled to unit length; zero vectors stay zero.

    Args:
        vectors: float [..., D].
        dtype: in which to compute; None = that of the vectors.

    Returns:
        The same shape, of that type.
    """
    vectors = np.asarray(vectors, dtype)
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)
