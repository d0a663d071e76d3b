"""What every pre-training method shares besides the training step: figures, validation, a look at images."""

import math

import tensorflow as tf

from mmgl_tf.figures import OF_EVERY_RUN
from mmgl_tf.layers.full_precision import at_least_float32
from mmgl_tf.pipelines.records import MODALITIES
from mmgl_tf.pretraining.monitor.collapse import judge
from mmgl_tf.pretraining.monitor.probe import FIGURES, OF_BOTH
from mmgl_tf.pretraining.stages import Stage
from mmgl_tf.training.step.model import TrainingModel
from mmgl_tf.training.step.replicas import gather_rows
from mmgl_tf.training.step.running_mean import RunningMean


class PretrainingModel(TrainingModel):
    """An encoder with the heads and losses of one method that trains it before identities do.

    A method subclasses this and says what it reports (`figures`), what it wants of a batch (`recipe`), what
    its network puts out (`outputs`), what its losses make of that (`losses`), how it is judged on held-out
    images (`validation_outputs`, `validation_figures`, `score`) and what there is to see (`probed`).

    Args:
        encoder: `mmgl_tf.backbones.Encoder`.
        options: `mmgl_tf.flags.config.options_type` of the method.
        seed: as in `TrainingModel`.
        plan: `mmgl_tf.training.plan.TrainingPlan`.
        term_weights: as in `TrainingModel`.

    Attributes:
        shown: tuple of `Figure`, all that a run of this model reports.
        modalities: names of those whose images the method shows, "visible" first.
        plain_batches: function (most batches) -> iterable of {modality: float32 [b, H, W, 3]}, training
            images of every modality that there is, unaugmented, each at most once, in an order that is always
            the same; or None outside of a run.
    """

    plain_batches = None

    def __init__(self, encoder, options, seed, plan, term_weights, name):
        figures = self.figures(options, plan)
        measured = [f.name for f in figures if f.source == "step" and not f.name.startswith("loss/")]
        super().__init__(encoder, seed, term_weights, measured, name)
        self.options = options
        self.plan = plan
        self.modalities = tuple(MODALITIES[m] for m in self.held_out(options).recipe.modalities)
        of_both = OF_BOTH if len(self.modalities) > 1 else ()
        self.shown = (*OF_EVERY_RUN, *FIGURES, *of_both, *figures)
        self.validation_means = {
            name: RunningMean("validation_" + name.replace("/", "_"))
            for figure in figures
            if figure.held_out
            for name in (f"{figure.name}_{modality}" for modality in self.modalities)
        }

    @staticmethod
    def figures(options, plan):
        """The method's figures, each with title and chance.

        Args:
            options, plan: as in the class.

        Returns:
            tuple of `Figure`: a "loss/" one for each term, the measures of `losses` and `probe_figures`.
        """
        raise NotImplementedError

    @staticmethod
    def recipe(options):
        """What a training batch consists of; in the last stage, where a method has several.

        Args:
            options: as in the class.

        Returns:
            `mmgl_tf.pipelines.batches.recipe.Recipe`.
        """
        raise NotImplementedError

    @classmethod
    def stages(cls, options, epochs):
        """The stages of a run, each with batches of its own; one, but for methods that say otherwise.

        Args:
            options: as in the class.
            epochs: of the run.

        Returns:
            tuple of `Stage`, whose epochs add up to those of the run.
        """
        return (Stage(epochs, cls.recipe(options), cls.held_out(options)),)

    @staticmethod
    def held_out(options):
        """What a batch of held-out images consists of, likewise.

        Args:
            options: as in the class.

        Returns:
            `mmgl_tf.pipelines.batches.recipe.HeldOut`.
        """
        raise NotImplementedError

    @staticmethod
    def survey(options, images):
        """What the method has to know of the training images before its network can be made.

        Called once in a run, before its first step; `plan.survey` has the result, on every worker and after
        a resume. What of it decides the run's future belongs in variables of the model as well.

        Args:
            options: as in the class.
            images: function (modality, most images) -> iterable of uint8 [H, W, 1 or 3], training images
                spread evenly over those of the modality, with a length.

        Returns:
            {name: array}; {} for a method that asks nothing.
        """
        del options, images
        return {}

    def build_from(self, height, width):
        """Makes every weight, for images of a size in pixels.

        Raises:
            ValueError: the network's stride does not divide the size.
        """
        raise NotImplementedError

    def describe(self):
        """What distinguishes the network, for the announcement: "6 stripes"."""
        return ""

    def notes(self):
        """Further lines of the announcement, (name, text) pairs."""
        return []

    def validation_outputs(self, batch):
        """What `validation_figures` reads: {name: [2b, ...]}, visible rows first, noise-free.

        Args:
            batch: as in training, and `weight` float32 [2b], 0 on padding.
        """
        raise NotImplementedError

    def validation_figures(self, outputs):
        """Figures of held-out images.

        Args:
            outputs: as `validation_outputs` returns them, of the global batch.

        Returns:
            {name: (float32 [n] values, float32 [n] weights)}.
        """
        raise NotImplementedError

    def test_step(self, batch):
        """Weighted means of `validation_figures` over the held-out images."""
        outputs = gather_rows(self.validation_outputs(batch))
        figures = self.validation_figures(outputs)
        for name, (values, weights) in figures.items():
            self.validation_means[name].update_state(values, weights)
        return {name: self.validation_means[name].result() for name in figures}

    def score_name(self):
        """The figure whose mean over modalities, on held-out images, picks the best encoder; "" = none."""
        return ""

    def score(self, logs):
        """The score of an epoch, larger is better, or None where nothing was measured.

        Args:
            logs: of Keras, held-out figures as "val_...".
        """
        name = self.score_name()
        found = [float(value) for key, value in logs.items() if name and key.startswith(f"val_{name}_")]
        return sum(found) / len(found) if found else None

    def judged(self, epochs):
        """See `TrainingModel`; the rules are those of `mmgl_tf.pretraining.monitor.collapse`."""
        return self._reason("collapsed", epochs)

    def alarm(self, epochs):
        """See `TrainingModel`."""
        return self._reason("alarm", epochs)

    def _reason(self, state, epochs):
        # The learning rate's warm-up, at least two epochs; but no more than half of a short run.
        warmup = min(max(2, math.ceil(self.plan.warmup_epochs)), self.plan.epochs // 2)
        verdict = judge(epochs, warmup)
        return verdict.reason if verdict.state == state else ""

    def probed(self, batch):
        """What there is to see of fixed images, batch norm in inference mode.

        Args:
            batch: as in validation, without `weight`.

        Returns:
            {name: tensor}; "features" float32 [n, C] is the pooled feature map, visible images first. A
            method with a projector adds "judged", its output as the losses compare it, for the collapse
            monitor: on batch statistics that leave no trace, as an untrained network's moving ones make all
            images alike. Where the last thing that is done to it is a norm without scale, which makes noise
            as large as anything, it adds "before_norm", what goes into that norm over the square root of its
            epsilon, and `OF_NORMALISED` to its figures.
        """
        raise NotImplementedError

    def probe_figures(self, found, batch, identities):
        """Figures of what was probed.

        Args:
            found: what `probed` returned, as arrays.
            batch: arrays.
            identities: (int [n], int [m]), or (None, None).

        Returns:
            {name: float}.
        """
        del found, batch, identities
        return {}

    def probe_pictures(self, found, batch, identities, source, scale):
        """Pictures of what was probed, {name: uint8 [H, W, 3]}.

        Args:
            found, batch, identities: as in `probe_figures`.
            source: what the images are, for captions.
            scale: (mean, standard deviation) of their normalisation.
        """
        del found, batch, identities, source, scale
        return {}

    def batch_pictures(self, batch, scale):
        """Pictures of a training batch, {name: uint8 [H, W, 3]}.

        Args:
            batch: arrays, as `outputs` gets them.
            scale: (mean, standard deviation) of their normalisation.
        """
        del batch, scale
        return {}


def pooled(encoder, images, training):
    """Pooled feature maps, float32 [n, C].

    Args:
        encoder: `mmgl_tf.backbones.Encoder`.
        images: {"visible": [b, H, W, 3], "infrared": ...}; either may be absent. Visible rows come first.
        training: batch norm uses batch statistics.
    """
    return tf.reduce_mean(at_least_float32(encoder(images, training=training)), axis=[1, 2])
