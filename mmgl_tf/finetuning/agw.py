"""AGW: non-local blocks, generalised-mean pooling, weighted regularised triplet (Ye et al.; spec 4.3)."""

from mmgl_tf.finetuning.triplet_model import TripletModel
from mmgl_tf.losses.identification.weighted_triplet import weighted_triplet


class Agw(TripletModel):
    """AGW on a two-stream encoder."""

    SLOW = ("encoder/", "non_local_")

    def __init__(self, encoder, options, seed, plan, name="agw"):
        super().__init__(encoder, options, seed, plan, name)

    @classmethod
    def make_embedder(cls, encoder, options, seed):
        """With non-local blocks and GeM; see `FinetuningModel.make_embedder`."""
        return cls.EMBEDDER(
            encoder, non_local_width=options.non_local_width, gem_power=options.gem_power, seed=3 * seed
        )

    def without_gradient(self):
        """The norm behind a non-local block's projection takes its bias away again."""
        return ("/project/bias",)

    def metric_loss(self, features, labels):
        """Weighted regularised triplet loss; see `TripletModel.metric_loss`."""
        loss, right = weighted_triplet(features, labels, self.options.triplet_form)
        return loss, {"accuracy/triplet": right}
