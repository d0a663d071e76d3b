"""Attempts to make the cycle contrast's retrieval semantic: other sets to return to, slots made unreadable.

None of this is in the paper; the defaults do without. Where the contrast can be solved by a stripe's position
in the shuffled image, its retrieval need not be about people (docs/choices.md, docs/results.md).

Legend: B images, N stripes, D embedding size.
"""

import tensorflow as tf


def by_body_part(stripes, permutation):
    """Stripes of a batch gathered by the body part that they show.

    As sets for `cycle_contrast_loss` with universe="pair", a stripe then looks among the same body part of
    the other modality's people and has to come back to its own person among its own modality's: the body
    part is given, all negatives of the retrieval are other people, and the position in the image is no help.

    Args:
        stripes: [B, N, D], by slot.
        permutation: int32 [B, N], slot i shows body part permutation[b, i].

    Returns:
        [N, B, D], entry [p, b] is image b's stripe of body part p.
    """
    sorted_by_part = tf.gather(stripes, tf.argsort(permutation, axis=1), batch_dims=1)
    return tf.transpose(sorted_by_part, [1, 0, 2])


def without_slot_means(stripes):
    """Stripes without the mean of their slot over the batch.

    Body parts are spread evenly over slots, so all that a slot's mean can hold is the slot itself (what zero
    padding tells the trunk about it), and what the whole modality has in common.

    Args:
        stripes: [B, N, D] of one modality, by slot, before they are normalised.

    Returns:
        [B, N, D].
    """
    return stripes - tf.reduce_mean(stripes, axis=0, keepdims=True)
