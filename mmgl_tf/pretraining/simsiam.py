"""SimSiam: each view predicts the other, and only the predicting side learns (Chen and He 2021)."""

import math

from mmgl_tf.figures import Figure
from mmgl_tf.layers.heads.projector import Projector
from mmgl_tf.losses.modality_scope import by_scope
from mmgl_tf.losses.negative_cosine import simsiam_loss
from mmgl_tf.pretraining.monitor.probe import OF_NORMALISED
from mmgl_tf.pretraining.two_views import TwoViewModel


class SimSiam(TwoViewModel):
    """SimSiam; `options` as in `mmgl_tf.flags.methods.simsiam`."""

    def __init__(self, encoder, options, seed, plan, name="simsiam"):
        super().__init__(encoder, options, seed, plan, {"prediction": 1.0}, name)
        size, hidden = options.simsiam_embedding_size, options.simsiam_hidden_size
        # The third bias is frozen before a norm that takes it away: a parameter of the released code.
        biases = (False, False, "frozen")
        self.projector = Projector((size,) * 3, biases=biases, final_norm="plain", seed=seed)
        self.predictor = Projector((hidden, size), biases=(False, True), seed=seed, name="predictor")

    @staticmethod
    def encoder_options(options):
        """How residual blocks start; the authors' as the identity."""
        return {"zero_init_residual": options.zero_init_residual}

    @classmethod
    def figures(cls, options, plan):
        """The loss: 0 for unrelated views, -1 at best, and where all embeddings are one."""
        return (
            Figure("loss/prediction", "prediction of the other view", 0.0, "free", short="prediction"),
            *cls.two_view_figures(plan),
            *OF_NORMALISED,
        )

    def build_from(self, height, width):
        """See `PretrainingModel`."""
        self.encoder.build_from(height, width)
        self.projector.build((None, self.encoder.num_features))
        self.predictor.build((None, self.options.simsiam_embedding_size))
        self.built = True

    def optimizer_options(self, optimizer):
        """The predictor's rate does not fall, where the recipe says so."""
        del optimizer  # all take it
        return {"fixed_rates": ("predictor/",) if self.options.simsiam_fixed_predictor_rate else ()}

    def head(self, features, training):
        """The projection and the prediction made from it."""
        projection = self.projector(features, training=training)
        return {"projection": projection, "prediction": self.predictor(projection, training=training)}

    def judged_rows(self, features, visible):
        """The projection, and what goes into its last norm."""
        del visible  # the norm is of all images
        norm, before = self.projector.norms[-1], self.projector.before_last_norm(features, training=True)
        return {"judged": norm(before, training=True), "before_norm": before / math.sqrt(norm.epsilon)}

    def losses(self, outputs, seed):
        """Negative cosine of each prediction and the other view's projection."""
        del seed  # nothing is drawn
        loss = by_scope(
            simsiam_loss,
            self.options.view_scope,
            *(outputs[name] for name in ("prediction_1", "prediction_2", "projection_1", "projection_2")),
        )
        return {"prediction": loss}, self.partner_measure(outputs)
