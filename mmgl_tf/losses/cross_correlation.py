"""Barlow Twins (Zbontar et al., 2021): the correlation of two views' embeddings shall be the identity.

Legend: n images, D embedding size.
"""

import tensorflow as tf

EPSILON = 1e-5


def cross_correlation(first, second, epsilon=EPSILON):
    """Correlation of each dimension of one view with each of the other, over the batch.

        C_ij = 1/n sum_b z1_bi z2_bj,    z = (x - mean_b x) / sqrt(var_b x + epsilon)

    with the biased variance: a batch norm without scale and offset. The gradient goes through mean and
    variance. A dimension's scale drops out but for epsilon; one that is constant has correlation 0.

    Args:
        first: float [n, D], n at least 2.
        second: float [n, D], the other view of the same images.
        epsilon: positive, added to the variance, the square of the embeddings' unit.

    Returns:
        [D, D], entries in [-1, 1], float32 (float64 for float64 embeddings). 268 MB at D = 8192.
    """
    first, second = standardised(first, epsilon), standardised(second, epsilon)
    count = tf.cast(tf.shape(first)[0], first.dtype)
    return tf.matmul(first, second, transpose_a=True) / count


def barlow_twins(first, second, off_diagonal_weight=0.0051, epsilon=EPSILON):
    """Distance of the cross-correlation from the identity (Barlow Twins Eq. 1).

        loss = sum_i (1 - C_ii)^2 + w sum_{i != j} C_ij^2

    From n images C has rank n - 1 at most: where all C_ii = 1 the second sum is still at least
    D^2 / (n - 1) - D, so with D far above n judge by the first sum and the mean of C_ii, not by the loss.

    Choice: w = 0.0051 as in the authors' code; their paper says 0.005.

    Args:
        first: float [n, D], the projector's output for one view, n at least 2.
        second: float [n, D], of the other view of the same images.
        off_diagonal_weight: w, at least 0.
        epsilon: see `cross_correlation`.

    Returns:
        (loss, sum_i (1 - C_ii)^2, sum_{i != j} C_ij^2, mean_i C_ii), scalars, float32 (float64 for float64
        embeddings). The second sum comes without w. The mean is in [-1, 1]; 0 is chance, 1 the aim.

    Raises:
        ValueError: for a negative weight.
    """
    if off_diagonal_weight < 0.0:
        raise ValueError(
            f"barlow_twins got off_diagonal_weight={off_diagonal_weight}; expected at least 0, such as "
            "0.0051."
        )
    correlation = cross_correlation(first, second, epsilon)
    diagonal = tf.linalg.diag_part(correlation)
    on_diagonal = tf.reduce_sum(tf.square(1.0 - diagonal))
    others = tf.linalg.set_diag(correlation, tf.zeros_like(diagonal))
    off_diagonal = tf.reduce_sum(tf.square(others))
    loss = on_diagonal + off_diagonal_weight * off_diagonal
    return loss, on_diagonal, off_diagonal, tf.reduce_mean(diagonal)


def standardised(embeddings, epsilon=EPSILON):
    """Each dimension with mean 0 and variance 1 over the batch: z of `cross_correlation`.

    Args:
        embeddings: float [n, D], n at least 2.
        epsilon: see `cross_correlation`.

    Returns:
        [n, D], float32 (float64 for float64 embeddings).
    """
    embeddings = tf.convert_to_tensor(embeddings)
    if embeddings.dtype != tf.float64:
        embeddings = tf.cast(embeddings, tf.float32)
    centred = embeddings - tf.reduce_mean(embeddings, axis=0)
    return centred * tf.math.rsqrt(tf.reduce_mean(tf.square(centred), axis=0) + epsilon)
