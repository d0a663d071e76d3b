"""Identity classification: which person of the training set an image shows.

Legend: B images, K identities of the training set.
"""

import tensorflow as tf


def identity_loss(logits, labels):
    """Cross-entropy of every image's identity, averaged over the batch, without label smoothing.

    Chance is ln K, 5.98 at SYSU-MM01's 395.

    Args:
        logits: float [B, K]; half precision is raised to float32 first.
        labels: int [B] in [0, K).

    Returns:
        Scalar, at least 0, float32 (float64 for float64 logits).
    """
    logits = tf.convert_to_tensor(logits)
    if logits.dtype != tf.float64:
        logits = tf.cast(logits, tf.float32)
    return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits))


def identity_accuracy(logits, labels):
    """The share of images whose most likely identity is the right one.

    Args:
        logits: float [B, K].
        labels: int [B] in [0, K).

    Returns:
        float32 scalar in [0, 1]; chance is 1 / K.
    """
    predicted = tf.argmax(logits, axis=-1, output_type=tf.int32)
    return tf.reduce_mean(tf.cast(predicted == tf.cast(labels, tf.int32), tf.float32))
