"""Part classification: which body part, i.e. original position, a stripe shows (MMGL Eq. 7).

Legend: B images, N stripes.
"""

import tensorflow as tf


def part_loss(logits, permutation):
    """Cross-entropy of every stripe's part, averaged over all B * N stripes.

    The target of slot i is its original position permutation[b, i]. Chance is ln N = 1.792 at six
    stripes.

    Args:
        logits: float [B, N, N], last axis the candidate parts.
        permutation: int [B, N] in [0, N).

    Returns:
        Scalar, at least 0, of the type of `logits`.
    """
    return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=permutation, logits=logits))


def part_accuracy(logits, permutation):
    """The share of an image's stripes whose most likely part is the right one.

    Args:
        logits: float [B, N, N], last axis the candidate parts.
        permutation: int [B, N] in [0, N).

    Returns:
        float32 [B] in [0, 1]; chance is 1 / N.
    """
    predicted = tf.argmax(logits, axis=-1, output_type=tf.int32)
    return tf.reduce_mean(tf.cast(predicted == tf.cast(permutation, tf.int32), tf.float32), axis=-1)
