"""What one stream's predictions of identity tell of the other's, softened: CAJ's KL term (Ye et al., 2021).

Legend: n images of each stream, K identities, T temperature.
"""

import tensorflow as tf

from mmgl_tf.losses.full_precision import at_least_float32


def stream_divergence(logits, target_logits, temperature=3.0):
    """KL divergence from one stream's softened identities to another's of the same people, row by row.

        r    = softmax(target_logits / T) + 1e-7
        loss = T^2 / n sum_i sum_k r_ik (log r_ik - log softmax_k(logits_i / T))

    The target is a constant here. T^2 makes up for the gradient's 1 / T^2. Equal logits cost K 1e-7 T^2,
    nearly nothing, as r sums to 1 + K 1e-7.

    Args:
        logits: float [n, K].
        target_logits: float [n, K]; row i shows the same identity as row i of `logits`.
        temperature: T, positive; 3 in CAJ.

    Returns:
        Scalar, at least 0, float32 (float64 for float64 logits).

    Raises:
        ValueError: a temperature that is not positive.
    """
    if temperature <= 0.0:
        raise ValueError(
            f"stream_divergence got temperature={temperature}; expected a positive one, such as 3."
        )
    target = tf.stop_gradient(tf.nn.softmax(at_least_float32(target_logits) / temperature, axis=-1)) + 1e-7
    log_predicted = tf.nn.log_softmax(at_least_float32(logits) / temperature, axis=-1)
    divergences = tf.reduce_sum(target * (tf.math.log(target) - log_predicted), axis=-1)
    return temperature**2 * tf.reduce_mean(divergences)
