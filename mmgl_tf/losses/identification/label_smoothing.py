"""Identity classification with smoothed labels (Szegedy et al., 2016).

Legend: B images, K identities of the training set.
"""

import tensorflow as tf

from mmgl_tf.losses.full_precision import at_least_float32


def smoothed_identity_loss(logits, labels, smoothing=0.1):
    """Cross-entropy to a target that leaves a share of its mass to all identities alike.

        t_ik = (1 - e) [k = label_i] + e / K,   loss = -1/B sum_i sum_k t_ik log softmax_k(logits_i)

    Chance is ln K. The least value is the target's entropy, 0.92 at e = 0.1 and 395 identities.

    Args:
        logits: float [B, K]; half precision is raised to float32 first.
        labels: int [B] in [0, K).
        smoothing: e in [0, 1); 0 is plain cross-entropy.

    Returns:
        Scalar, at least 0, float32 (float64 for float64 logits).

    Raises:
        ValueError: smoothing outside of [0, 1).
    """
    if not 0.0 <= smoothing < 1.0:
        raise ValueError(
            f"smoothed_identity_loss got smoothing={smoothing}; expected a share in [0, 1), such as 0.1."
        )
    log_likely = tf.nn.log_softmax(at_least_float32(logits), axis=-1)
    right = tf.reduce_sum(
        log_likely * tf.one_hot(labels, log_likely.shape[-1], dtype=log_likely.dtype), axis=-1
    )
    return -tf.reduce_mean((1.0 - smoothing) * right + smoothing * tf.reduce_mean(log_likely, axis=-1))
