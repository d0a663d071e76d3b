"""DDAG's loss on its graph of a batch's images (Ye et al., 2020), and the weight that it grows into.

Legend: n images, K identities of the training set.
"""

import tensorflow as tf

from mmgl_tf.losses.full_precision import at_least_float32


def graph_identity_loss(log_probabilities, labels):
    """Negative log-likelihood of every node's identity: -1/n sum_i log p_i[label_i].

    Args:
        log_probabilities: float [n, K], of `GraphBranch`.
        labels: int [n] in [0, K).

    Returns:
        Scalar, at least 0, float32 (float64 for float64 input). Chance is ln K.
    """
    log_probabilities = at_least_float32(log_probabilities)
    target = tf.one_hot(labels, log_probabilities.shape[-1], dtype=log_probabilities.dtype)
    return -tf.reduce_mean(tf.reduce_sum(target * log_probabilities, axis=-1))


def dynamic_weight(mean_part_loss):
    """Weight of the graph's loss in an epoch: 1 / (1 + mean of the part loss over the epoch before).

    The part loss L_P is all else that DDAG minimises: cross-entropy, triplet, cross-entropy of the parts. So
    the graph joins as the rest is learnt. The first epoch has none before it, and the weight 0.

    Args:
        mean_part_loss: at least 0, a number.

    Returns:
        float in [0, 1].

    Raises:
        ValueError: a negative mean, or one that is not a number.
    """
    if not mean_part_loss >= 0.0:
        raise ValueError(
            f"dynamic_weight got mean_part_loss={mean_part_loss}; expected the mean of a loss, at least 0. "
            "NaN means that an epoch's losses were not finite."
        )
    return 1.0 / (1.0 + float(mean_part_loss))
