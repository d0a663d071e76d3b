"""One-Stream and Two-Stream: average pooling, cross-entropy and the batch-hard triplet (spec 4.1, 4.2)."""

from mmgl_tf.finetuning.batch_hard import batch_hard
from mmgl_tf.finetuning.triplet_model import TripletModel


class TwoStream(TripletModel):
    """A stem per modality, a shared trunk; the released "base" method."""

    def __init__(self, encoder, options, seed, plan, name="two_stream"):
        super().__init__(encoder, options, seed, plan, name)

    def metric_loss(self, features, labels):
        """Batch-hard triplet loss; see `TripletModel.metric_loss`."""
        return batch_hard(features, labels, self.options)


class OneStream(TwoStream):
    """The same with one stem for both modalities.

    Choice: no released code has it; everything but the stem is as in `TwoStream`.
    """

    STREAM = "one"

    def __init__(self, encoder, options, seed, plan, name="one_stream"):
        super().__init__(encoder, options, seed, plan, name)
