"""Batch normalisation's kernels: TF's fused ones, and their sums written out in float64, which they refuse.

All take x [b, H, W, C] and float32 vectors [C] beside x of float32 or half precision, float64 ones beside
float64. Where n values of a channel have the mean m and the biased variance v:

    y = gamma (x - m) / sqrt(v + epsilon) + beta
"""

import tensorflow as tf

_ROWS = [0, 1, 2]


def normalise_by_batch(x, gamma, beta, epsilon):
    """Normalises by the batch's own statistics.

    Args:
        x: [b, H, W, C].
        gamma: [C], scale.
        beta: [C], offset.
        epsilon: Python float, added to the variance.

    Returns:
        (y as x, mean [C], unbiased variance v n / (n - 1) [C], what `sums_of_gradient` wants to know). No
        gradient flows through the statistics.
    """
    if x.dtype == tf.float64:
        mean = tf.reduce_mean(x, axis=_ROWS)
        biased = tf.reduce_mean(tf.square(x - mean), axis=_ROWS)
        y = (x - mean) * tf.math.rsqrt(biased + epsilon) * gamma + beta
        values = tf.cast(tf.reduce_prod(tf.shape(x)[:-1]), x.dtype)
        unbiased = biased * (values / tf.maximum(values - 1.0, 1.0))
        return y, tf.stop_gradient(mean), tf.stop_gradient(unbiased), (mean, biased)
    result = tf.raw_ops.FusedBatchNormV3(
        x=x,
        scale=gamma,
        offset=beta,
        mean=tf.zeros([0]),
        variance=tf.zeros([0]),
        epsilon=epsilon,
        is_training=True,
    )
    # The op returns the variance that is unbiased already; it normalises with the biased one.
    return result.y, result.batch_mean, result.batch_variance, result[3:]


def sums_of_gradient(upstream, x, reserved, epsilon):
    """The gradients by gamma and beta of `normalise_by_batch` at gamma = 1.

    Args:
        upstream: [b, H, W, C], the gradient by y.
        x: [b, H, W, C].
        reserved: the last of what `normalise_by_batch` returned.
        epsilon: as there.

    Returns:
        (sum upstream (x - m) / sqrt(v + epsilon), sum upstream), [C] each.
    """
    if x.dtype == tf.float64:
        mean, biased = reserved
        normalised = (x - mean) * tf.math.rsqrt(biased + epsilon)
        return tf.reduce_sum(upstream * normalised, axis=_ROWS), tf.reduce_sum(upstream, axis=_ROWS)
    back = tf.raw_ops.FusedBatchNormGradV3(
        y_backprop=upstream,
        x=x,
        scale=tf.ones([x.shape[-1]]),
        reserve_space_1=reserved[0],
        reserve_space_2=reserved[1],
        reserve_space_3=reserved[2],
        epsilon=epsilon,
        is_training=True,
    )
    return back.scale_backprop, back.offset_backprop


def normalise_by_moving(x, gamma, beta, mean, variance, epsilon):
    """Normalises by given statistics.

    Args:
        x: [b, H, W, C].
        gamma: [C], scale.
        beta: [C], offset.
        mean: [C].
        variance: [C].
        epsilon: Python float, added to the variance.

    Returns:
        y as x.
    """
    if x.dtype == tf.float64:
        return (x - mean) * tf.math.rsqrt(variance + epsilon) * gamma + beta
    return tf.raw_ops.FusedBatchNormV3(
        x=x, scale=gamma, offset=beta, mean=mean, variance=variance, epsilon=epsilon, is_training=False
    ).y
