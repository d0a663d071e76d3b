"""Batch normalisation whose statistics are those of the global batch, over all replicas of a strategy.

The statistics come from TF's fused op in training mode, whose forward and backward kernels are deterministic
on GPUs. Its inference mode would take a mean from outside, but has no deterministic gradient there.

Legend: R replicas, b images on a replica, n values of a channel on a replica (b H W), C channels.
"""

import tensorflow as tf

from mmgl_tf.layers.normalization.batch_norm_kernels import normalise_by_batch, sums_of_gradient


def global_batch_norm(x, gamma, beta, epsilon):
    """Normalises each channel by the mean and variance of its R n values.

        y = gamma (x - m) / sqrt(v + epsilon) + beta,   m = mean_r m_r,   v = mean_r (v_r + (m_r - m)^2)

    with the mean m_r and the biased variance v_r of replica r (Chan et al. 1979). One message between the
    replicas forward, and one backward.

    The gradient with respect to x is that of the global loss, the sum over replicas of what follows from
    each one's y. Those with respect to gamma and beta are a replica's own share: their sum over replicas is
    the gradient. None flows through the returned statistics. Between the passes only x itself and vectors
    are kept.

    Call it in replica context, in the same order on all replicas, and not inside `tf.cond`, `tf.while_loop`
    or a nested `tf.function`, where `tf.distribute` passes no messages. Outside of a strategy R = 1.

    Args:
        x: [b, C] or [b, H, W, C], float32, bfloat16, float16 or float64, of one shape on all replicas.
        gamma: [C], scale, float32 (float64 beside a float64 x, as everything here then is).
        beta: [C], offset, of the same type.
        epsilon: Python float, added to the variance, the square of x's unit.

    Returns:
        (y of the shape and dtype of x, mean float32 [C], unbiased variance float32 [C]), the statistics the
        same to the last bit on all replicas.

    Raises:
        ValueError: x has another rank.
    """
    if len(x.shape) not in (2, 4):
        raise ValueError(
            f"global_batch_norm got x of shape {tuple(x.shape)}; expected [b, C] or [b, H, W, C]. Reshape "
            "other ranks to [b, C] first."
        )
    if len(x.shape) == 2:
        y, *statistics = global_batch_norm(tf.reshape(x, [-1, 1, 1, x.shape[1]]), gamma, beta, epsilon)
        return tf.squeeze(y, [1, 2]), *statistics

    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        y, mean, variance, _ = normalise_by_batch(x, gamma, beta, epsilon)
        return y, tf.stop_gradient(mean), tf.stop_gradient(variance)

    @tf.custom_gradient
    def normalise(x, gamma, beta):
        ones, zeros = tf.ones_like(gamma), tf.zeros_like(beta)
        _, own_mean, own_variance, reserved = normalise_by_batch(x, ones, zeros, epsilon)
        own_values = tf.cast(tf.reduce_prod(tf.shape(x)[:-1]), own_mean.dtype)
        values = own_values * context.num_replicas_in_sync
        # The op returns the unbiased variance; a single value (n = 1) has 0, whatever a kernel says of 0 / 0.
        own_variance = tf.math.multiply_no_nan(own_variance, (own_values - 1) / own_values)
        mean, variance = _pooled(context, own_mean, own_variance)
        inverse = tf.math.rsqrt(variance + epsilon)
        y = _centred(x, mean) * (gamma * inverse) + beta

        def gradient(upstream, *_):
            by_gamma, total = sums_of_gradient(upstream, x, reserved, epsilon)
            # sum dy (x - m) out of the kernel's sum dy (x - m_r) / sqrt(v_r + epsilon).
            moment = tf.sqrt(own_variance + epsilon) * by_gamma
            moment += (own_mean - mean) * total
            sums = context.all_reduce(tf.distribute.ReduceOp.SUM, tf.stack([total, moment]))
            mean_total, mean_moment = tf.unstack(sums / values)
            # Else x - m would be ready in the forward pass, in float32, and wait in memory until here.
            with tf.control_dependencies([upstream]):
                centred = _centred(x, mean)
            by_x = _centred(upstream, mean_total) - centred * (tf.square(inverse) * mean_moment)
            return tf.cast(gamma * inverse * by_x, x.dtype), moment * inverse, total

        return (tf.cast(y, x.dtype), mean, variance * values / (values - 1)), gradient

    return normalise(x, tf.convert_to_tensor(gamma), tf.convert_to_tensor(beta))


def _pooled(context, mean, variance):
    """Mean and biased variance [C] of all replicas' values out of a replica's own.

    Each replica learns the statistics of every other: an all-reduce of [R, 2, C], zero outside the own row,
    which is exact in any order of summation. Sums of squares would travel in one row, but lose the variance
    where |m| is far above the standard deviation. (`all_gather` costs two messages: shapes first.)
    """
    own, count = context.replica_id_in_sync_group, context.num_replicas_in_sync
    place = tf.one_hot(own, count, dtype=mean.dtype)[:, None, None]
    everyone = context.all_reduce(tf.distribute.ReduceOp.SUM, place * tf.stack([mean, variance]))
    means, variances = tf.unstack(everyone, axis=1)
    mean = tf.reduce_mean(means, axis=0)
    return mean, tf.reduce_mean(variances + tf.square(means - mean), axis=0)


def _centred(values, mean):
    """In float32, also of half precision, whose few digits a difference would lose."""
    return tf.cast(values, mean.dtype) - mean
