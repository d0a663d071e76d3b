"""The weighted regularised triplet loss of AGW (Ye et al., 2021): no margin, and every pair has a weight.

Legend: B images of both modalities, D feature size.
"""

import tensorflow as tf

from mmgl_tf.losses.choices import require_choice
from mmgl_tf.losses.identification.distances import pairwise_distances

FORMS = ("reference", "stable")

# Stands for the score of a pair that is not allowed: exp of it is 0, and it is finite.
_EXCLUDED = -1e9


def weighted_triplet(features, identities, form="reference"):
    """Soft margin between a weighted mean positive and a weighted mean negative distance.

    With distances d, masks p_ij = [same identity], i itself included, and n_ij = 1 - p_ij, every image of the
    batch being an anchor i:

        w+_ij = p_ij exp( d_ij - m+_i) / (sum_j p_ij exp( d_ij - m+_i) + 1e-6),   m+_i = max_j p_ij d_ij
        w-_ij = n_ij exp(-d_ij - m-_i) / (sum_j n_ij exp(-d_ij - m-_i) + 1e-6),   m-_i = max_j(-n_ij d_ij) = 0
        a_i   = sum_j w+_ij d_ij,   b_i = sum_j w-_ij d_ij
        loss  = mean_i log(1 + exp(a_i - b_i))

    Far positives and near negatives weigh most, and gradients flow through the weights.

    Choice: that is the released code ("reference"). Its m- is always 0, as i itself is masked, so its
    negative weights do not sum to 1 once the distances are large: 16 normal 16-d points at a mean distance of
    5.6, 17 and 34 have sums of 1.00, 0.71 and 0.01. There b falls towards 0 and pushing negatives apart
    *raises* the loss. "stable" is what is meant, a softmax over the allowed pairs: the same value while
    distances are below some 10, right beyond. The published numbers are the reference's.

    An anchor without an image of another identity has b = 0 in the reference's form and is left out of both
    results in the stable one.

    Args:
        features: float [B, D], pooled and not normalised (before the neck).
        identities: int [B].
        form: one of `FORMS`.

    Returns:
        The loss, scalar, positive, float32 (float64 for float64 features); and the share of anchors with
        a < b, float32 scalar in [0, 1]. b has to be larger by more than 1e-6, the distance of equal images,
        so that features that collapsed to a point do not look right.

    Raises:
        ValueError: for an unknown form.
    """
    require_choice("weighted_triplet", "form", form, FORMS)
    distances = pairwise_distances(features)
    same = tf.equal(identities[:, tf.newaxis], identities)
    weigh = _reference_weights if form == "reference" else _stable_weights
    positive = tf.reduce_sum(weigh(distances, same) * distances, axis=1)
    negative = tf.reduce_sum(weigh(-distances, ~same) * distances, axis=1)
    counted = tf.reduce_any(~same, axis=1) | (form == "reference")
    loss = tf.where(counted, tf.nn.softplus(positive - negative), 0.0)
    anchors = tf.maximum(tf.reduce_sum(tf.cast(counted, distances.dtype)), 1.0)
    right = tf.reduce_sum(tf.cast(counted & (negative - positive > 1e-6), tf.float32))
    return tf.reduce_sum(loss) / anchors, right / tf.cast(anchors, tf.float32)


def _reference_weights(scores, allowed):
    """Softmax of [B, B] scores over the allowed pairs of a row, as the released code has it."""
    shift = tf.reduce_max(tf.where(allowed, scores, 0.0), axis=1, keepdims=True)  # 0 for negative scores
    # Masked before exp: a forbidden pair's score may be large, and inf times the mask's 0 is NaN.
    powers = tf.where(allowed, tf.exp(tf.where(allowed, scores - shift, 0.0)), 0.0)
    return powers / (tf.reduce_sum(powers, axis=1, keepdims=True) + 1e-6)


def _stable_weights(scores, allowed):
    """Softmax of [B, B] scores over the allowed pairs of a row; a row without any is not to be used."""
    return tf.nn.softmax(tf.where(allowed, scores, _EXCLUDED), axis=1)
