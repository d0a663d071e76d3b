"""Barlow Twins: the views' embeddings agree in each dimension and no two dimensions say the same."""

import math

import tensorflow as tf

from mmgl_tf.figures import HAS_NONE, Figure
from mmgl_tf.layers.heads.projector import Projector
from mmgl_tf.losses.cross_correlation import EPSILON, barlow_twins, standardised
from mmgl_tf.losses.modality_scope import by_scope
from mmgl_tf.pretraining.monitor.probe import OF_NORMALISED
from mmgl_tf.pretraining.two_views import TwoViewModel


class BarlowTwins(TwoViewModel):
    """Barlow Twins (Zbontar et al. 2021); `options` as in `mmgl_tf.flags.methods.barlow_twins`."""

    ASYMMETRIC = True

    def __init__(self, encoder, options, seed, plan, name="barlow_twins"):
        super().__init__(encoder, options, seed, plan, {"redundancy": options.barlow_twins_scale}, name)
        widths = (options.barlow_twins_embedding_size,) * 3
        self.projector = Projector(widths, biases=False, seed=seed)

    @staticmethod
    def encoder_options(options):
        """How residual blocks start; the authors' as the identity."""
        return {"zero_init_residual": options.zero_init_residual}

    @classmethod
    def figures(cls, options, plan):
        """The loss and its parts. Of unrelated views the correlations are near 0, so the first part is D."""
        size = float(options.barlow_twins_embedding_size)
        return (
            Figure("loss/redundancy", "redundancy", HAS_NONE, short="redundancy"),
            Figure("correlation/on_diagonal", "distance of equal dimensions from agreement", size),
            Figure("correlation/off_diagonal", "correlation between dimensions, squared sum", HAS_NONE),
            Figure("correlation/agreement", "agreement of the views", 0.0, "free", short="C_ii"),
            *cls.two_view_figures(plan),
            *OF_NORMALISED,
        )

    def build_from(self, height, width):
        """See `PretrainingModel`."""
        self.encoder.build_from(height, width)
        self.projector.build((None, self.encoder.num_features))
        self.built = True

    def optimizer_options(self, optimizer):
        """Biases and norms at a rate of their own, where the recipe says so."""
        del optimizer  # all take it
        return {"vector_multiplier": self.options.barlow_twins_vector_rate}

    def head(self, features, training):
        """The projection."""
        return {"projection": self.projector(features, training=training)}

    def judged_rows(self, features, visible):
        """The projection as the correlation has it, each dimension standardised, and as it was before."""
        rows = self.head(features, training=True)["projection"]
        scopes = [rows[:visible], rows[visible:]] if self.options.view_scope == "per_modality" else [rows]
        return {
            "judged": tf.concat([standardised(scope) for scope in scopes], axis=0),
            "before_norm": rows / math.sqrt(EPSILON),
        }

    def losses(self, outputs, seed):
        """The distance of the views' cross-correlation from the identity."""
        del seed  # nothing is drawn
        options = self.options
        loss, on_diagonal, off_diagonal, agreement = by_scope(
            lambda first, second: barlow_twins(first, second, options.barlow_twins_off_diagonal),
            options.view_scope,
            outputs["projection_1"],
            outputs["projection_2"],
        )
        measures = {
            "correlation/on_diagonal": on_diagonal,
            "correlation/off_diagonal": off_diagonal,
            "correlation/agreement": agreement,
        }
        return {"redundancy": loss}, measures | self.partner_measure(outputs)
