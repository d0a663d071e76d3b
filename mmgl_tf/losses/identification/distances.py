"""Euclidean distances, and their squares, between all pairs of a batch.

Legend: B images, M others, D feature size.
"""

import tensorflow as tf

# Below it a squared distance is taken for 0. It has to be applied before the root: the root's gradient at 0
# is infinite, and infinity times the zero of a maximum behind it is NaN.
_SMALLEST_SQUARE = 1e-12
# Share of |x|^2 + |y|^2 below which their difference from 2 x.y is taken for rounding: far above what 2048
# float64 sums leave (some 1e-15), and at 4.5e-7 of a vector's length a few float32 roundings of it.
_ROUNDING = 1e-13


def pairwise_distances(x, y=None):
    """Distances between the rows of x and those of y: sqrt(max(|x_i|^2 + |y_j|^2 - 2 x_i.y_j, 1e-12)).

    Equal rows have distance 1e-6 and gradient 0. The sums are float64: the difference of nearly equal squares
    leaves float32 few digits or none for close pairs, and the matrix product of float32 numbers runs with ten
    bits (TF32) on recent GPUs. At 64 x 2048 that costs nothing beside a training step.

    Args:
        x: float [B, D], any float type.
        y: float [M, D], or None for x.

    Returns:
        [B, M], at least 1e-6; float64 for float64 x, else float32.
    """
    squares = pairwise_squares(x, y)
    dtype = tf.float64 if tf.convert_to_tensor(x).dtype == tf.float64 else tf.float32
    return tf.cast(tf.sqrt(tf.maximum(squares, _SMALLEST_SQUARE)), dtype)


def pairwise_squares(x, y=None):
    """Squared distances between the rows of x and those of y: |x_i|^2 + |y_j|^2 - 2 x_i.y_j.

    Args:
        x: float [B, D], any float type.
        y: float [M, D], or None for x.

    Returns:
        float64 [B, M], at least 0; what is rounding beside the vectors' lengths is 0, with gradient 0.
    """
    x = tf.cast(x, tf.float64)
    y = x if y is None else tf.cast(y, tf.float64)
    lengths = tf.reduce_sum(tf.square(x), axis=1)[:, tf.newaxis] + tf.reduce_sum(tf.square(y), axis=1)
    squares = lengths - 2.0 * tf.matmul(x, y, transpose_b=True)
    return tf.where(squares > _ROUNDING * lengths, squares, 0.0)
