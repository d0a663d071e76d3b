"""Whether an image's other view can be told among those of other images: what two-view methods are judged by.

Legend: n images, D embedding size.
"""

import tensorflow as tf

from mmgl_tf.losses.cycle_contrast import l2_normalise


def partner_found(first, second):
    """Whose partner is nearest among all second views, by the cosine.

    A measure without gradient. A tie is not counted, so that embeddings that collapsed to a point do not look
    right.

    Args:
        first: float [n, D], embeddings of one view, any length.
        second: float [n, D], of the other view of the same images.

    Returns:
        float32 [n], 1 where the partner is nearer than every other, else 0. Chance is 1 / n.
    """
    similarity = tf.matmul(l2_normalise(first), l2_normalise(second), transpose_b=True)
    own = tf.linalg.diag_part(similarity)
    # Others alone: the diagonal is taken out by a value below every cosine.
    others = tf.linalg.set_diag(similarity, tf.fill(tf.shape(own), tf.cast(-2.0, own.dtype)))
    return tf.cast(own > tf.reduce_max(others, axis=1), tf.float32)
