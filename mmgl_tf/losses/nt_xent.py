"""NT-Xent, the contrast of SimCLR (Chen et al., 2020): find an image's other view among all of a batch.

Legend: n images, D embedding size.
"""

import tensorflow as tf

from mmgl_tf.losses.cycle_contrast import l2_normalise

# Stands for the similarity of a view to itself, which is not among the candidates: far below -1 / temperature
# for any temperature above 1e-8, and finite.
_EXCLUDED = -1e9


def nt_xent(first, second, temperature=0.2):
    """Cross-entropy of every view's partner among the other 2n - 1 views (SimCLR Eq. 1).

    With z_1 .. z_2n the views of unit length, p(i) the other view of the same image, s_ij = z_i.z_j / t:

        loss = mean_i -log( exp(s_i,p(i)) / sum_{k != i} exp(s_ik) )

    Equal embeddings cost ln(2n - 1), 5.25 for 96 images.

    Choice: the paper's temperature of 0.1 is for thousands of negatives; the flag's default is 0.2.

    Args:
        first: float [n, D], embeddings of one view, any length; n at least 1.
        second: float [n, D], of the other view of the same images.
        temperature: t, positive.

    Returns:
        The loss, scalar, at least 0, float32 (float64 for float64 embeddings); and the contrastive accuracy,
        float32 in [0, 1]: the share of the 2n views whose partner is nearer than every other view. A tie is
        not counted, so that embeddings that collapsed to a point do not look right. Chance is 1 / (2n - 1).

    Raises:
        ValueError: for a temperature that is not positive.
    """
    if temperature <= 0.0:
        raise ValueError(f"nt_xent got temperature={temperature}; expected a positive number, such as 0.2.")
    views = tf.concat([l2_normalise(first), l2_normalise(second)], axis=0)
    similarities = tf.matmul(views, views, transpose_b=True) / temperature
    count = tf.shape(views)[0]
    excluded = tf.cast(_EXCLUDED, similarities.dtype)
    candidates = tf.linalg.set_diag(similarities, tf.fill([count], excluded))
    partner = tf.roll(tf.range(count), shift=count // 2, axis=0)
    is_partner = partner[:, tf.newaxis] == tf.range(count)
    positive = tf.reduce_sum(tf.where(is_partner, candidates, 0.0), axis=1)
    loss = tf.reduce_mean(tf.reduce_logsumexp(candidates, axis=1) - positive)
    negative = tf.reduce_max(tf.where(is_partner, excluded, candidates), axis=1)
    return loss, tf.reduce_mean(tf.cast(positive > negative, tf.float32))
