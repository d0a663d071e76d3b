"""One-Stream and Two-Stream: average pooling, cross-entropy and the batch-hard triplet (spec 4.1, 4.2)."""

from mmgl_tf.finetuning.triplet_model import TripletModel
from mmgl_tf.losses.identification.triplet import batch_hard_triplet


class TwoStream(TripletModel):
    """A stem per modality, a shared trunk; the released "base" method."""

    def __init__(self, encoder, options, seed, plan, name="two_stream"):
        super().__init__(encoder, options, seed, plan, name)

    def metric_loss(self, features, labels):
        """Batch-hard triplet loss; see `TripletModel.metric_loss`."""
        loss, right = batch_hard_triplet(features, labels, self.options.triplet_margin)
        return loss, {"accuracy/triplet": right}


class OneStream(TwoStream):
    """The same with one stem for both modalities.

    Choice: no released code has it; everything but the stem is as in `TwoStream`.
    """

    STREAM = "one"

    def __init__(self, encoder, options, seed, plan, name="one_stream"):
        super().__init__(encoder, options, seed, plan, name)
