"""SimCLR: an image's two views attract each other and repel all other images (Chen et al. 2020)."""

import math

from mmgl_tf.figures import Figure
from mmgl_tf.layers.heads.projector import Projector
from mmgl_tf.losses.modality_scope import by_scope
from mmgl_tf.losses.nt_xent import nt_xent
from mmgl_tf.pretraining.two_views import TwoViewModel


class SimClr(TwoViewModel):
    """SimCLR on a two-stream encoder; `options` as in `mmgl_tf.flags.methods.simclr`."""

    def __init__(self, encoder, options, seed, plan, name="simclr"):
        super().__init__(encoder, options, seed, plan, {"contrast": 1.0}, name)
        widths = (options.simclr_hidden_size, options.simclr_embedding_size)
        self.projector = Projector(widths, norm=None, seed=seed)

    @classmethod
    def figures(cls, options, plan):
        """The contrast, whose chance is ln(2n - 1) of n images compared."""
        images = plan.batch_size * (2 if options.view_scope == "mixed" else 1)
        contrast = Figure("loss/contrast", "contrast of views", math.log(2 * images - 1), short="contrast")
        return (contrast, *cls.two_view_figures(plan))

    def build_from(self, height, width):
        """See `PretrainingModel`."""
        self.encoder.build_from(height, width)
        self.projector.build((None, self.encoder.num_features))
        self.built = True

    def head(self, features, training):
        """The projection."""
        return {"projection": self.projector(features, training=training)}

    def losses(self, outputs, seed):
        """NT-Xent of the two views."""
        del seed  # nothing is drawn
        options = self.options
        contrast, _ = by_scope(
            lambda first, second: nt_xent(first, second, options.simclr_temperature),
            options.view_scope,
            outputs["projection_1"],
            outputs["projection_2"],
        )
        return {"contrast": contrast}, self.partner_measure(outputs)
