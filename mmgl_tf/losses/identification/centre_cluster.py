"""MPANet's centre-cluster loss (Wu et al., 2021): people gather around their centres, centres keep apart.

Legend: n images of both modalities, K identities in the batch, D feature size.
"""

import tensorflow as tf

from mmgl_tf.losses.full_precision import at_least_float32
from mmgl_tf.losses.identification.distances import pairwise_distances
from mmgl_tf.losses.identification.identity_centres import first_of_identity, identity_centres

# Below it a squared distance is taken for 0, before the root, as in `pairwise_distances`.
_SMALLEST_SQUARE = 1e-12


def centre_cluster(features, identities, margin=0.7):
    """Pulls images to their identity's centre and pushes centres of two identities apart, up to a margin.

    With the centre c_k of all images of identity k, both modalities together, and n_k images of it:

        pull = 1/n sum_i ||x_i - c_{y_i}||
        push = 1/K sum_k 1/(n - n_k) sum_{l != k} n_l max(0, margin - ||c_k - c_l||)
        loss = pull + push

    With as many images of each identity, as the sampler draws them, the push is the mean over ordered pairs
    of different identities. Where they differ in number, an identity weighs as often as it is met, as in the
    released code. That reads the identities off blocks of a fixed size; here the order does not matter.

    Choice: the released root in `pull` has no epsilon, and where an image is its own centre (alone, or
    features collapsed) its gradient is NaN. Here the distance is at least 1e-6 and the gradient 0 there.

    Args:
        features: float [n, D], before the neck and not normalised.
        identities: int [n].
        margin: positive, in units of the distance; 0.7 in MPANet.

    Returns:
        (loss, pull, push, share of images that are nearer to their own centre than to any other). The first
        three are scalars of at least 0, float32 (float64 for float64 features); the share is float32, a tie
        does not count. A batch of one identity has push 0 and share 0.

    Raises:
        ValueError: a margin that is not positive.
    """
    if margin <= 0.0:
        raise ValueError(f"centre_cluster got margin={margin}; expected a positive number, such as 0.7.")
    features = at_least_float32(features)
    centres, _ = identity_centres(features, identities)
    squares = tf.reduce_sum(tf.square(features - centres), axis=1)
    own = tf.sqrt(tf.maximum(squares, _SMALLEST_SQUARE))
    pull = tf.reduce_mean(own)

    others = tf.not_equal(identities[:, tf.newaxis], identities)
    weights = tf.cast(others, features.dtype)
    hinges = tf.nn.relu(margin - pairwise_distances(centres)) * weights
    of_row = tf.math.divide_no_nan(tf.reduce_sum(hinges, axis=1), tf.reduce_sum(weights, axis=1))
    first = tf.cast(first_of_identity(identities), features.dtype)
    push = tf.reduce_sum(first * of_row) / tf.reduce_sum(first)

    foreign = tf.where(others, pairwise_distances(features, centres), features.dtype.max)
    right = tf.reduce_any(others, axis=1) & (own < tf.reduce_min(foreign, axis=1))
    return pull + push, pull, push, tf.reduce_mean(tf.cast(right, tf.float32))
