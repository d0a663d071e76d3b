"""The enhanced squared difference of CAJ (Ye et al., 2021): triplets count by the square of their gap.

Legend: B images of both modalities, D feature size, alpha sharpness of the weights, gamma scale.
"""

import tensorflow as tf

from mmgl_tf.losses.choices import require_choice
from mmgl_tf.losses.identification.distances import pairwise_distances
from mmgl_tf.losses.identification.pair_weights import FORMS, weighted_sides

# exp(88) is the largest power of e that float32 holds; the released code's soft margin is not a stable one.
CLAMP = 88.0


def squared_difference_triplet(
    features, identities, alpha=1.0, gamma=1.0, square=True, form="reference", clamp=CLAMP
):
    """Soft margin on the signed square of the gap between weighted positive and negative distances.

    With a_i and b_i of `weighted_sides`, whose weights are exp(alpha d), and every image an anchor i:

        s_i  = a_i - b_i,   q_i = min(gamma s_i^2, 88),   t_i = -1 where s_i > 0, else 1
        loss = mean_i log(1 + exp(-t_i q_i))                                  square
        loss = mean_i log(1 + exp(gamma s_i))                                 not square

    Far from the margin the squared form pushes by 2 gamma s, where AGW's pushes by 1 at most; at s = 0 it
    does not push at all. An anchor whose square is clamped (|s| > 9.38 at gamma = 1) has no gradient: where
    all are, the loss stands still at 88. The third result watches that.

    Args:
        features: float [B, D], pooled and not normalised (before the neck).
        identities: int [B].
        alpha: at least 0; 0 weighs all positives alike, and all negatives.
        gamma: positive, in units of 1 / distance^2 (1 / distance where not square).
        square: False for the plain gap.
        form: one of `pair_weights.FORMS`.
        clamp: the largest q; 88 in the released code. None = none, `softplus` needs none.

    Returns:
        The loss, scalar, positive, float32 (float64 for float64 features); the share of anchors with a < b by
        more than 1e-6, the distance of equal images; the share of anchors that are clamped. Shares are
        float32 scalars in [0, 1].

    Raises:
        ValueError: an unknown form, alpha below 0, or gamma or clamp not positive.
    """
    require_choice("squared_difference_triplet", "form", form, FORMS)
    if alpha < 0.0 or gamma <= 0.0 or (clamp is not None and clamp <= 0.0):
        raise ValueError(
            f"squared_difference_triplet got alpha={alpha}, gamma={gamma}, clamp={clamp}; expected alpha of "
            "at least 0, and a positive gamma and clamp (None = no clamp). CAJ has 1, 1, 88."
        )
    distances = pairwise_distances(features)
    same = tf.equal(identities[:, tf.newaxis], identities)
    positive, negative, counted = weighted_sides(distances, same, form, alpha)
    gap = positive - negative
    clamped = tf.zeros_like(counted)
    if square:
        squares = gamma * tf.square(gap)
        if clamp is not None:
            clamped = counted & (squares > clamp)
            squares = tf.minimum(squares, clamp)
        loss = tf.nn.softplus(tf.where(gap > 0.0, squares, -squares))
    else:
        loss = tf.nn.softplus(gamma * gap)
    anchors = tf.maximum(tf.reduce_sum(tf.cast(counted, distances.dtype)), 1.0)
    number = tf.cast(anchors, tf.float32)
    right = tf.reduce_sum(tf.cast(counted & (gap < -1e-6), tf.float32))
    return (
        tf.reduce_sum(tf.where(counted, loss, 0.0)) / anchors,
        right / number,
        tf.reduce_sum(tf.cast(clamped, tf.float32)) / number,
    )
