"""The hetero-centre triplet loss (Liu et al., 2020): an identity's two centres are nearer than any other.

Legend: n images, D feature size, P identities that the batch has in both modalities.
"""

import tensorflow as tf

from mmgl_tf.losses.cycle_contrast import l2_normalise
from mmgl_tf.losses.full_precision import at_least_float32
from mmgl_tf.losses.identification.distances import pairwise_distances
from mmgl_tf.losses.identification.identity_centres import first_of_identity, identity_centres


def hetero_centre_triplet(features, identities, modalities, margin=0.3, normalise=True):
    """Hinge on the distance of an identity's two centres and that of each to the nearest centre of another.

    With c_k^v and c_k^i, the mean features of identity k in the two modalities:

        nearest_k^m = min over l != k and both modalities m' of ||c_k^m - c_l^m'||
        loss        = 1/P sum_k sum_{m in v, i} max(0, margin + ||c_k^v - c_k^i|| - nearest_k^m)

    An identity that the batch has in one modality alone is no anchor, but a negative. An anchor without a
    negative is left out.

    Args:
        features: float [n, D], before the neck.
        identities: int [n].
        modalities: int [n], 0 visible and 1 infrared.
        margin: at least 0, in units of the distance.
        normalise: True scales centres to unit length, as `centre_contrast` does; the original does not.

    Returns:
        The loss, scalar, at least 0, float32 (float64 for float64 features); and the share of anchor centres
        whose partner is nearer than their nearest negative, float32 scalar in [0, 1]; a tie is not counted.

    Raises:
        ValueError: a negative margin.
    """
    if margin < 0.0:
        raise ValueError(f"hetero_centre_triplet got margin={margin}; expected at least 0, such as 0.3.")
    features = at_least_float32(features)
    first = first_of_identity(identities)
    found = [identity_centres(features, identities, tf.equal(modalities, m)) for m in (0, 1)]
    centres = [l2_normalise(c) if normalise else c for c, _ in found]
    present = [first & there for _, there in found]
    both = present[0] & present[1]
    pairs = tf.sqrt(tf.maximum(tf.reduce_sum(tf.square(centres[0] - centres[1]), axis=1), 1e-12))

    # Rows: all visible centres, then all infrared ones; a row that stands for no centre is no negative.
    everyone, there = tf.concat(centres, axis=0), tf.concat(present, axis=0)
    owner = tf.concat([identities, identities], axis=0)
    allowed = there & tf.not_equal(owner[:, tf.newaxis], owner)
    nearest = tf.reduce_min(tf.where(allowed, pairwise_distances(everyone), features.dtype.max), axis=1)
    partner = tf.concat([pairs, pairs], axis=0)
    counted = tf.concat([both, both], axis=0) & tf.reduce_any(allowed, axis=1)
    number = tf.reduce_sum(tf.cast(counted, tf.float32))
    hinges = tf.where(counted, tf.nn.relu(margin + partner - nearest), 0.0)
    right = tf.reduce_sum(tf.cast(counted & (partner < nearest), tf.float32))
    # An identity has two hinges, so half as many identities as anchors.
    identities_counted = tf.cast(tf.maximum(number, 1.0), features.dtype) / 2.0
    return tf.reduce_sum(hinges) / identities_counted, right / tf.maximum(number, 1.0)
