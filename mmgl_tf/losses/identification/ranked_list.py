"""The ranked-list loss of VCD (Tian et al., 2021; after Wang et al., 2019), within and across modalities.

Legend: n images of both modalities, D feature size, m margin, a boundary beyond which negatives rest.
"""

import tensorflow as tf

from mmgl_tf.losses.cycle_contrast import l2_normalise
from mmgl_tf.losses.full_precision import at_least_float32
from mmgl_tf.losses.identification.distances import pairwise_distances


def ranked_list(features, identities, modalities, margins=(0.9, 1.0), boundaries=(2.2, 2.0), normalise=True):
    """Draws positives into a ball and pushes negatives out of a larger one, for each modality by itself.

    With distances d of features of unit length, and for anchor i the sets s "intra" (images of its own
    modality) and "cross" (of the other), each with a margin m and a boundary a:

        positive_s = sum_{p in s, y_p = y_i, p != i} max(0, d_ip + m_s - a_s) / (|those p| + 1e-5)
        negative_s = sum_n w_n (a_s - d_in) / (sum_n w_n + 1e-5),   w_n = exp(a_s - d_in),
                     over n in s, y_n != y_i, d_in < a_s
        loss       = mean_i (positive_intra + positive_cross + negative_intra + negative_cross)

    Near negatives weigh most, and gradients flow through the weights. The anchor is no positive of its own,
    unlike in the triplet losses of the two-stream methods.

    Choice: margins and boundaries are the released ones. Points of the unit sphere are at most 2 apart, so
    every negative acts, and the loss cannot reach 0: its floor is that of evenly spread identities.

    Args:
        features: float [n, D], after the neck.
        identities: int [n].
        modalities: int [n], images of one number are of one modality.
        margins: (intra, cross), at least 0, in units of the distance.
        boundaries: (intra, cross), positive.
        normalise: False takes features as they are.

    Returns:
        The loss, scalar, at least 0, float32 (float64 for float64 features); and the share of anchors whose
        farthest positive is nearer than their nearest negative, of those that have both, float32 scalar in
        [0, 1]; a tie is not counted.

    Raises:
        ValueError: a negative margin, or a boundary that is not positive.
    """
    if min(margins) < 0.0 or min(boundaries) <= 0.0:
        raise ValueError(
            f"ranked_list got margins={tuple(margins)}, boundaries={tuple(boundaries)}; expected margins "
            "of at least 0 and positive boundaries, such as (0.9, 1.0) and (2.2, 2.0)."
        )
    features = at_least_float32(features)
    if normalise:
        features = l2_normalise(features)
    distances = pairwise_distances(features)
    same = tf.equal(identities[:, tf.newaxis], identities)
    itself = tf.eye(tf.shape(identities)[0], dtype=tf.bool)
    near = tf.equal(modalities[:, tf.newaxis], modalities)
    positive, negative = same & ~itself, ~same
    total = 0.0
    for group, margin, boundary in zip((near, ~near), margins, boundaries, strict=True):
        hinges = tf.nn.relu(distances + (margin - boundary))
        total += _mean_where(positive & group, hinges, tf.ones_like(hinges))
        gaps = boundary - distances
        # Masked before exp, so that no inf of a forbidden pair meets the mask's 0.
        acting = negative & group & (gaps > 0.0)
        total += _mean_where(acting, gaps, tf.exp(tf.where(acting, gaps, 0.0)))
    return tf.reduce_mean(total), _right_order(distances, positive, negative)


def _mean_where(allowed, values, weights):
    """Weighted mean of the allowed values of each row, [n]; 0 where a row has none."""
    weights = tf.where(allowed, weights, 0.0)
    return tf.reduce_sum(weights * values, axis=1) / (tf.reduce_sum(weights, axis=1) + 1e-5)


def _right_order(distances, positive, negative):
    """Share of rows whose largest positive is below their smallest negative, of rows that have both."""
    farthest = tf.reduce_max(tf.where(positive, distances, 0.0), axis=1)
    nearest = tf.reduce_min(tf.where(negative, distances, distances.dtype.max), axis=1)
    counted = tf.reduce_any(positive, axis=1) & tf.reduce_any(negative, axis=1)
    right = tf.reduce_sum(tf.cast(counted & (farthest < nearest), tf.float32))
    return right / tf.maximum(tf.reduce_sum(tf.cast(counted, tf.float32)), 1.0)
