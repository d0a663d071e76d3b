"""Losses without negatives: the prediction from one view against the other view's target, as a cosine.

BYOL (Grill et al., 2020) and SimSiam (Chen and He, 2021) differ in where targets come from, which is not
seen here, and in the scale of the loss, which is.

Legend: n images, D embedding size.
"""

import tensorflow as tf

from mmgl_tf.losses.cycle_contrast import l2_normalise


def negative_cosine(predictions, targets):
    """-mean_i cos(predictions_i, targets_i); no gradient reaches the targets.

    Args:
        predictions: float [n, D], any length.
        targets: float [n, D], any length, of the other view of the same images.

    Returns:
        Scalar in [-1, 1], float32 (float64 for float64 predictions). A zero vector has cosine 0.
    """
    predictions = l2_normalise(predictions)
    targets = tf.stop_gradient(l2_normalise(targets))
    return -tf.reduce_mean(tf.reduce_sum(predictions * targets, axis=-1))


def simsiam_loss(first_prediction, second_prediction, first_target, second_target):
    """Half the sum of both directions' negative cosine (SimSiam Eq. 2).

        loss = 1/2 (-mean cos(p1, sg z2)) + 1/2 (-mean cos(p2, sg z1))

    It reaches -1 where every prediction meets its target, and in a network that collapsed too: read it beside
    the embeddings' spread.

    Args:
        first_prediction: p1, float [n, D], the predictor's output for the first view.
        second_prediction: p2, float [n, D].
        first_target: z1, float [n, D], the projector's output for the first view.
        second_target: z2, float [n, D].

    Returns:
        Scalar in [-1, 1], float32 (float64 for float64 predictions).
    """
    forth = negative_cosine(first_prediction, second_target)
    back = negative_cosine(second_prediction, first_target)
    return (forth + back) / 2.0


def byol_loss(first_prediction, second_prediction, first_target, second_target):
    """The squared distance of unit vectors, summed over both directions (BYOL Eq. 2).

        loss = (2 - 2 mean cos(q1, sg z2')) + (2 - 2 mean cos(q2, sg z1'))

    Args:
        first_prediction: q1, float [n, D], the online predictor's output for the first view.
        second_prediction: q2, float [n, D].
        first_target: z1', float [n, D], the target network's projection of the first view.
        second_target: z2', float [n, D].

    Returns:
        (loss, the same per direction: half of it, which is what logs of BYOL show), scalars in [0, 8] and
        [0, 4], float32 (float64 for float64 predictions). Unrelated vectors cost 4 and 2.
    """
    forth = negative_cosine(first_prediction, second_target)
    back = negative_cosine(second_prediction, first_target)
    per_direction = 2.0 + forth + back
    return 2.0 * per_direction, per_direction
