"""The weighted regularised triplet loss of AGW (Ye et al., 2021): no margin, and every pair has a weight.

Legend: B images of both modalities, D feature size.
"""

import tensorflow as tf

from mmgl_tf.losses.choices import require_choice
from mmgl_tf.losses.identification.distances import pairwise_distances
from mmgl_tf.losses.identification.pair_weights import FORMS as FORMS
from mmgl_tf.losses.identification.pair_weights import weighted_sides


def weighted_triplet(features, identities, form="reference"):
    """Soft margin between a weighted mean positive and a weighted mean negative distance.

    With a_i and b_i of `weighted_sides`, every image of the batch being an anchor i:

        loss  = mean_i log(1 + exp(a_i - b_i))

    Choice: "reference" is the released code, whose negative weights vanish at large distances; "stable" is
    what is meant. The published numbers are the reference's.

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
    positive, negative, counted = weighted_sides(distances, same, form)
    loss = tf.where(counted, tf.nn.softplus(positive - negative), 0.0)
    anchors = tf.maximum(tf.reduce_sum(tf.cast(counted, distances.dtype)), 1.0)
    right = tf.reduce_sum(tf.cast(counted & (negative - positive > 1e-6), tf.float32))
    return tf.reduce_sum(loss) / anchors, right / tf.cast(anchors, tf.float32)
