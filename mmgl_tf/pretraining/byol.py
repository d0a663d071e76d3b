"""BYOL: predict what a slowly following copy makes of the other view (Grill et al. 2020)."""

import tensorflow as tf

from mmgl_tf.figures import HAS_NONE, Figure
from mmgl_tf.layers.heads.projector import Projector
from mmgl_tf.losses.modality_scope import by_scope
from mmgl_tf.losses.negative_cosine import byol_loss
from mmgl_tf.pretraining.two_views import TwoViewModel
from mmgl_tf.training.step.momentum import MomentumCopy, cosine_momentum

# What is descended is the sum over both directions (BYOL Eq. 2); what is reported is the half of it.
DIRECTIONS = 2.0


class Byol(TwoViewModel):
    """BYOL; `options` as in `mmgl_tf.flags.methods.byol`. What is saved and exported is the online encoder.

    The copy's batch norm uses batch statistics and keeps moving ones of its own; the copy is no part of
    `trained_variables`.
    """

    ASYMMETRIC = True

    def __init__(self, encoder, options, seed, plan, name="byol"):
        super().__init__(encoder, options, seed, plan, {"prediction": DIRECTIONS}, name)
        widths = (options.byol_hidden_size, options.byol_embedding_size)
        self.projector = Projector(widths, seed=seed)
        self.predictor = Projector(widths, seed=seed, name="predictor")
        self.target_encoder = type(encoder).from_config(encoder.get_config() | {"name": "target_encoder"})
        self.target_projector = Projector(widths, seed=seed, name="target_projector")

    @classmethod
    def figures(cls, options, plan):
        """The loss of a direction, 2 for unrelated views, and how much of itself the copy keeps."""
        return (
            Figure("loss/prediction", "prediction of the other view", 2.0, short="prediction"),
            Figure("target/momentum", "momentum of the copy", HAS_NONE, "free"),
            *cls.two_view_figures(plan),
        )

    def build_from(self, height, width):
        """See `PretrainingModel`."""
        for encoder in (self.encoder, self.target_encoder):
            encoder.build_from(height, width)
        for projector in (self.projector, self.target_projector):
            projector.build((None, self.encoder.num_features))
        self.predictor.build((None, self.options.byol_embedding_size))
        self.copy = MomentumCopy(
            [(self.encoder, self.target_encoder), (self.projector, self.target_projector)]
        )
        self.copy.start()
        self.built = True

    @property
    def trained_variables(self):
        """All but the copy's."""
        follows = {id(variable) for variable in self.copy.variables}
        return [variable for variable in self.trainable_variables if id(variable) not in follows]

    def head(self, features, training):
        """The online projection and the prediction made from it."""
        projection = self.projector(features, training=training)
        return {"projection": projection, "prediction": self.predictor(projection, training=training)}

    def outputs(self, batch):
        """Predictions and projections of the online network, and the copy's projections."""
        targets = self.views(batch, training=True, encoder=self.target_encoder)
        return super().outputs(batch) | self.headed(self._target, targets)

    def _target(self, features):
        return {"target": tf.stop_gradient(self.target_projector(features, training=True))}

    def losses(self, outputs, seed):
        """Squared distance of each prediction and the copy's projection of the other view, per direction."""
        del seed  # nothing is drawn
        _, loss = by_scope(
            byol_loss,
            self.options.view_scope,
            *(outputs[name] for name in ("prediction_1", "prediction_2", "target_1", "target_2")),
        )
        momentum = self._momentum(self.optimizer.iterations)
        return {"prediction": loss}, {"target/momentum": momentum, **self.partner_measure(outputs)}

    def after_update(self, outputs, step):
        """The copy follows."""
        del outputs
        return self.copy.moves(self._momentum(step))

    def _momentum(self, step):
        return cosine_momentum(step, self.plan.total_steps, self.options.byol_momentum)
