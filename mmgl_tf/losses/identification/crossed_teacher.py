"""MPANet's mutual mean learning (Wu et al., 2021): a classifier judged by the other modality's slow copy.

Legend: n images, K identities.
"""

import tensorflow as tf

from mmgl_tf.losses.full_precision import at_least_float32


def crossed_teacher_divergence(logits, teacher_logits):
    """KL divergence of an image's identities from what the other modality's slow classifier says of it.

        p = softmax(logits),   q = softmax(teacher_logits), constant
        loss = 1/n sum_i sum_k p_ik (log p_ik - log q_ik)

    The gradient goes through p alone, the first place of the divergence: distillation has the teacher there.
    So p is not asked to cover all that q thinks possible, only to stay where q allows it.

    Args:
        logits: float [n, K], by the classifier of the image's own modality.
        teacher_logits: float [n, K], of the same image by the slow copy of the other modality's classifier.

    Returns:
        Scalar, at least 0, float32 (float64 for float64 logits).
    """
    log_p = tf.nn.log_softmax(at_least_float32(logits), axis=-1)
    log_q = tf.stop_gradient(tf.nn.log_softmax(at_least_float32(teacher_logits), axis=-1))
    return tf.reduce_mean(tf.reduce_sum(tf.exp(log_p) * (log_p - log_q), axis=-1))


def teacher_rate(epoch):
    """How much of the classifier a slow copy takes over in a step: 0.2 min(100 / (epoch + 1), 1).

    slow <- (1 - rate) slow + rate classifier, before the crossed logits and before the optimiser's step.

    Args:
        epoch: from 1, a tensor of numbers.

    Returns:
        float32, 0.2 up to epoch 99, then falling.
    """
    return 0.2 * tf.minimum(100.0 / (tf.cast(epoch, tf.float32) + 1.0), 1.0)
