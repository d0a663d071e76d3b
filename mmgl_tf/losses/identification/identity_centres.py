"""Where the images of a person lie on average, in a batch of any order and of any sizes of its identities.

Legend: n images, D feature size.
"""

import tensorflow as tf

from mmgl_tf.losses.full_precision import at_least_float32


def identity_centres(features, identities, counted=None):
    """The mean feature of each image's identity, a row for each image.

        centre_i = sum_j s_ij x_j / sum_j s_ij,   s_ij = [identity_i = identity_j and j is counted]

    Sums are float64, for the reason that `pairwise_distances` has.

    Args:
        features: float [n, D].
        identities: int [n].
        counted: bool [n], the images whose mean it is, such as those of one modality; None = all.

    Returns:
        (centres [n, D], float32 or float64 as the features; 0 where an identity has no counted image;
        bool [n], whether it has some).
    """
    features = at_least_float32(features)
    members = tf.equal(identities[:, tf.newaxis], identities)
    if counted is not None:
        members &= counted
    weights = tf.cast(members, tf.float64)
    number = tf.reduce_sum(weights, axis=1, keepdims=True)
    centres = tf.matmul(weights / tf.maximum(number, 1.0), tf.cast(features, tf.float64))
    return tf.cast(centres, features.dtype), number[:, 0] > 0.0


def first_of_identity(identities):
    """Whether an image is the first of its identity in the batch: one image stands for each identity.

    Args:
        identities: int [n].

    Returns:
        bool [n].
    """
    same = tf.cast(tf.equal(identities[:, tf.newaxis], identities), tf.float64)
    order = tf.range(tf.shape(identities)[0])
    # In float64: matrices of 0 and 1, whose row sums tell how many of an identity came before.
    earlier = tf.cast(order[tf.newaxis] < order[:, tf.newaxis], tf.float64)
    return tf.reduce_sum(same * earlier, axis=1) < 0.5
