"""Softmax weights over the positives and the negatives of each anchor, by how hard they are (AGW, CAJ).

Legend: B images of both modalities, alpha sharpness of the weights.
"""

import tensorflow as tf

FORMS = ("reference", "stable")

# Stands for the score of a pair that is not allowed: exp of it is 0, and it is finite.
_EXCLUDED = -1e9


def weighted_sides(distances, same, form="reference", sharpness=1.0):
    """Each anchor's weighted mean distance to its positives, and to its negatives.

    With distances d, masks p_ij = [same identity], i itself included, and n_ij = 1 - p_ij:

        w+_ij = p_ij exp( alpha d_ij - m+_i) / (sum_j p_ij exp( alpha d_ij - m+_i) + 1e-6)
        w-_ij = n_ij exp(-alpha d_ij - m-_i) / (sum_j n_ij exp(-alpha d_ij - m-_i) + 1e-6)
        m+_i  = max_j p_ij alpha d_ij,   m-_i = max_j(-n_ij alpha d_ij) = 0
        a_i   = sum_j w+_ij d_ij,   b_i = sum_j w-_ij d_ij

    Far positives and near negatives weigh most, and gradients flow through the weights.

    Choice: that is the released code ("reference"). Its m- is always 0, as i itself is masked, so its
    negative weights do not sum to 1 once the distances are large: 16 normal 16-d points at a mean distance of
    5.6, 17 and 34 have sums of 1.00, 0.71 and 0.01. There b falls towards 0 and pushing negatives apart
    *raises* a loss that wants b large. "stable" is what is meant, a softmax over the allowed pairs: the same
    value while distances are below some 10, right beyond.

    Args:
        distances: float32 or float64 [B, B].
        same: bool [B, B], True on the diagonal.
        form: one of `FORMS`.
        sharpness: alpha, 1 in AGW.

    Returns:
        (a [B], b [B], counted: bool [B]). An anchor without a negative has b = 0 in the reference's form and
        is counted; in the stable one it is not, and its b means nothing.
    """
    weigh = _reference_weights if form == "reference" else _stable_weights
    scores = sharpness * distances
    positive = tf.reduce_sum(weigh(scores, same) * distances, axis=1)
    negative = tf.reduce_sum(weigh(-scores, ~same) * distances, axis=1)
    return positive, negative, tf.reduce_any(~same, axis=1) | (form == "reference")


def _reference_weights(scores, allowed):
    """Softmax of [B, B] scores over the allowed pairs of a row, as the released code has it."""
    shift = tf.reduce_max(tf.where(allowed, scores, 0.0), axis=1, keepdims=True)  # 0 for negative scores
    # Masked before exp: a forbidden pair's score may be large, and inf times the mask's 0 is NaN.
    powers = tf.where(allowed, tf.exp(tf.where(allowed, scores - shift, 0.0)), 0.0)
    return powers / (tf.reduce_sum(powers, axis=1, keepdims=True) + 1e-6)


def _stable_weights(scores, allowed):
    """Softmax of [B, B] scores over the allowed pairs of a row; a row without any is not to be used."""
    return tf.nn.softmax(tf.where(allowed, scores, _EXCLUDED), axis=1)
