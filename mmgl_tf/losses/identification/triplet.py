"""The batch-hard triplet loss (Hermans et al., 2017), the metric loss of the one- and two-stream baselines.

Legend: B images of both modalities, D feature size.
"""

import tensorflow as tf

from mmgl_tf.losses.choices import require_choice
from mmgl_tf.losses.identification.distances import pairwise_distances

FORMS = ("hinge", "soft")


def batch_hard_triplet(features, identities, margin=0.3, form="hinge"):
    """Pulls the farthest image of the same identity nearer than the nearest of another, by a margin.

    With distances d, every image of the batch being an anchor i, whatever its modality:

        farthest_i = max_j d_ij  over identities_j  = identities_i, i itself included (1e-6 where it is alone)
        nearest_i  = min_j d_ij  over identities_j != identities_i
        loss       = mean_i max(0, farthest_i - nearest_i + margin)       "hinge"
                   = mean_i log(1 + exp(farthest_i - nearest_i))          "soft", without a margin

    Where all features are one point, both pull at none of them: a hinge at the margin, a soft one at log 2.
    Near it the hinge pulls each pair with the same force, however far off it is; the batch can fall into the
    point as long as the farthest of a person is farther than the nearest of another.

    An anchor without an image of another identity is left out of both results; where no anchor has one, both
    are 0.

    Args:
        features: float [B, D], pooled and not normalised (before the neck).
        identities: int [B].
        margin: at least 0, in units of the distance. 0.3 in all baselines.
        form: one of `FORMS`; all baselines have the hinge.

    Returns:
        The loss, scalar, at least 0, float32 (float64 for float64 features); and the share of anchors with
        farthest < nearest, float32 scalar in [0, 1]. A tie is not counted, so that features that collapsed to
        a point do not look right.

    Raises:
        ValueError: for a negative margin, or another form.
    """
    require_choice("batch_hard_triplet", "form", form, FORMS)
    if margin < 0.0:
        raise ValueError(f"batch_hard_triplet got margin={margin}; expected at least 0, such as 0.3.")
    distances = pairwise_distances(features)
    same = tf.equal(identities[:, tf.newaxis], identities)
    farthest = tf.reduce_max(tf.where(same, distances, 0.0), axis=1)
    # The largest finite number rather than infinity: its difference from anything is finite, too.
    nearest = tf.reduce_min(tf.where(same, distances.dtype.max, distances), axis=1)
    counted = tf.reduce_any(~same, axis=1)
    apart = farthest - nearest
    loss = tf.nn.relu(apart + margin) if form == "hinge" else tf.nn.softplus(apart)  # 0 where not counted
    anchors = tf.maximum(tf.reduce_sum(tf.cast(counted, distances.dtype)), 1.0)
    right = tf.reduce_sum(tf.cast(counted & (farthest < nearest), tf.float32))
    return tf.reduce_sum(loss) / anchors, right / tf.cast(anchors, tf.float32)
