"""The batch-hard triplet loss as a run's settings have it, for every method that has one."""

from mmgl_tf.losses.cycle_contrast import l2_normalise
from mmgl_tf.losses.identification.triplet import batch_hard_triplet


def batch_hard(features, labels, options):
    """See `batch_hard_triplet`.

    Args:
        features: float32 [n, C], pooled, un-normalised.
        labels: int32 [n].
        options: whatever has the fields of `mmgl_tf.flags.methods.shared.triplet.BatchHard`.

    Returns:
        (loss, {"accuracy/triplet": share of anchors that are right}), float32 scalars.
    """
    if options.batch_hard_features == "unit":
        features = l2_normalise(features)
    loss, right = batch_hard_triplet(features, labels, options.triplet_margin, options.batch_hard_form)
    return loss, {"accuracy/triplet": right}
