"""Whether images of a person are more alike than images of others: accuracy on people never trained on.

Legend: n images, D features.
"""

import numpy as np
import tensorflow as tf

from mmgl_tf.losses.cycle_contrast import l2_normalise


def identity_order(features, labels):
    """How often another image of the same person is nearer than one of somebody else, by the cosine.

        value_i = mean over j of i's person, j != i, and k of others, of  [s_ij > s_ik] + [s_ij = s_ik] / 2

    the area under image i's ROC curve. A classifier of identities says nothing of people that it does not
    know; this does. Unlike the accuracy of the nearest neighbour its chance does not depend on how many
    images of a person meet in a batch. A measure without gradient.

    Args:
        features: float [n, D], any length.
        labels: int [n].

    Returns:
        (float32 [n] values in [0, 1]; float32 [n] weights, 1 where image i has both a companion and a
        stranger here, else 0). Chance is 1/2; so is the value of features that are all the same.
    """
    unit = l2_normalise(tf.cast(features, tf.float32))
    similarity = tf.matmul(unit, unit, transpose_b=True)
    same = labels[:, None] == labels[None, :]
    companion = tf.cast(same, tf.float32) - tf.eye(tf.shape(labels)[0])
    # Strangers in ascending order; the others stand beyond every cosine and are never counted.
    strangers = tf.sort(tf.where(same, np.inf, similarity), axis=1)
    farther = tf.searchsorted(strangers, similarity, side="left")
    not_nearer = tf.searchsorted(strangers, similarity, side="right")
    passed = tf.cast(farther + not_nearer, tf.float32) / 2.0
    number = tf.reduce_sum(companion, axis=1) * tf.reduce_sum(tf.cast(~same, tf.float32), axis=1)
    values = tf.math.divide_no_nan(tf.reduce_sum(companion * passed, axis=1), number)
    return values, tf.cast(number > 0, tf.float32)
