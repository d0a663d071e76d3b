"""Contrast of identity centres across modalities: InfoNCE on centres instead of images (NFS-style).

Legend: n images, D feature size, P identities that the batch has in both modalities, t temperature.
"""

import tensorflow as tf

from mmgl_tf.losses.cycle_contrast import l2_normalise
from mmgl_tf.losses.full_precision import at_least_float32
from mmgl_tf.losses.identification.identity_centres import first_of_identity, identity_centres

# Stands for the similarity of a centre that does not stand for its identity.
_EXCLUDED = -1e9


def centre_contrast(features, identities, modalities, temperature=0.1):
    """Each identity's centre in one modality finds its own among all centres of the other.

    With c_k^v and c_k^i, the mean features of identity k in the two modalities, scaled to unit length:

        loss = -1/(2P) sum_k [ log softmax_j(c_k^v . c_j^i / t)_k + log softmax_j(c_k^i . c_j^v / t)_k ]

    Chance is ln P. An identity that the batch has in one modality alone is no anchor, but one to be told
    from.

    Choice: NFS has published no code; this is its "cross-modality contrastive optimisation" as we read it.

    Args:
        features: float [n, D], before the neck.
        identities: int [n].
        modalities: int [n], 0 visible and 1 infrared.
        temperature: t, positive.

    Returns:
        The loss, scalar, at least 0, float32 (float64 for float64 features); and the share of centres that
        find their own, float32 scalar in [0, 1]; chance is 1 / P, a tie is not counted. Both are 0 where no
        identity has both modalities.

    Raises:
        ValueError: a temperature that is not positive.
    """
    if temperature <= 0.0:
        raise ValueError(
            f"centre_contrast got temperature={temperature}; expected a positive one, such as 0.1."
        )
    features = at_least_float32(features)
    centres, present = zip(
        *[identity_centres(features, identities, tf.equal(modalities, m)) for m in (0, 1)], strict=True
    )
    visible, infrared = (l2_normalise(c) for c in centres)
    # One row stands for each identity, the first of its images.
    first = first_of_identity(identities)
    anchors = first & present[0] & present[1]
    # Products and sums in float64: a matrix product may run in TF32, whose ten bits 1 / t magnifies.
    cosines = tf.matmul(tf.cast(visible, tf.float64), tf.cast(infrared, tf.float64), transpose_b=True)
    scores = tf.cast(cosines, features.dtype) / temperature
    found = [
        _found(scores, first & present[1], anchors),
        _found(tf.transpose(scores), first & present[0], anchors),
    ]
    number = tf.maximum(tf.reduce_sum(tf.cast(anchors, tf.float32)), 1.0)
    loss = tf.add_n([loss for loss, _ in found]) / (2.0 * tf.cast(number, features.dtype))
    return loss, tf.add_n([right for _, right in found]) / (2.0 * number)


def _found(scores, candidates, anchors):
    """Summed cross-entropy of the diagonal over the anchors' rows, and how many have it largest."""
    scores = tf.where(candidates, scores, tf.cast(_EXCLUDED, scores.dtype))
    own = tf.linalg.diag_part(scores)
    losses = tf.where(anchors, tf.reduce_logsumexp(scores, axis=1) - own, 0.0)
    others = tf.linalg.set_diag(scores, tf.fill(tf.shape(own), tf.cast(_EXCLUDED, scores.dtype)))
    right = anchors & (own > tf.reduce_max(others, axis=1))
    return tf.reduce_sum(losses), tf.reduce_sum(tf.cast(right, tf.float32))
