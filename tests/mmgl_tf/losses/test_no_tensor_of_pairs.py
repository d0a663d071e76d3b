"""Losses of all pairs of a batch hold numbers of pairs, never their features."""

import numpy as np
import pytest
import tensorflow as tf

from mmgl_tf.losses.identification.centre_cluster import centre_cluster
from mmgl_tf.losses.identification.centre_contrast import centre_contrast
from mmgl_tf.losses.identification.hetero_centre_triplet import hetero_centre_triplet
from mmgl_tf.losses.identification.ranked_list import ranked_list
from mmgl_tf.losses.identification.sinkhorn_distance import sinkhorn_distance
from mmgl_tf.losses.identification.squared_difference_triplet import squared_difference_triplet
from tests.mmgl_tf.layers.slow_layers import largest_tensor

N, SIZE = 16, 50
IDENTITIES, MODALITIES = np.arange(N) // 4, np.arange(N) % 2
LOSSES = {
    "centre_cluster": lambda x: centre_cluster(x, IDENTITIES),
    "centre_contrast": lambda x: centre_contrast(x, IDENTITIES, MODALITIES),
    "hetero_centre_triplet": lambda x: hetero_centre_triplet(x, IDENTITIES, MODALITIES),
    "ranked_list": lambda x: ranked_list(x, IDENTITIES, MODALITIES),
    "sinkhorn_distance": lambda x: sinkhorn_distance(tf.nn.softmax(x), tf.nn.softmax(-x)),
    "squared_difference_triplet": lambda x: squared_difference_triplet(x, IDENTITIES),
}


@pytest.mark.parametrize("name", LOSSES)
def test_forward_and_backward_hold_no_features_of_pairs(name):
    def step(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            value = LOSSES[name](x)[0]
        return tape.gradient(value, x)

    # Two modalities' centres, one below the other, are the most: 32 x 50 and 32 x 32.
    assert largest_tensor(step, tf.TensorSpec([N, SIZE])) <= 2 * N * SIZE
