"""The jigsaw task's loss: which of K orders an image's tiles are in (Noroozi and Favaro 2016).

Legend: B images, K orders.
"""

import tensorflow as tf


def tile_order_loss(scores, order):
    """Cross-entropy of every image's order, averaged over the batch.

        L = -1/B sum_b log( exp s_b,order(b) / sum_k exp s_b,k )

    Chance is ln K, 4.159 at 64 orders.

    Args:
        scores: float [B, K], s above; half precision is raised to float32 first.
        order: int [B] in [0, K), the number of the true order.

    Returns:
        Scalar, at least 0, float32 (float64 for float64 scores).
    """
    scores = tf.convert_to_tensor(scores)
    if scores.dtype != tf.float64:
        scores = tf.cast(scores, tf.float32)
    return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=order, logits=scores))


def order_found(scores, order):
    """Whether the likeliest order is the true one, image by image.

    Args:
        scores: float [B, K].
        order: int [B] in [0, K).

    Returns:
        float32 [B], 1 where it is, else 0; chance is 1 / K.
    """
    likeliest = tf.argmax(scores, axis=-1, output_type=tf.int32)
    return tf.cast(likeliest == tf.cast(order, tf.int32), tf.float32)
