"""What all fine-tuning methods share: an embedder that learns from identities, and what is reported of it."""

from mmgl_tf.figures import OF_EVERY_RUN
from mmgl_tf.finetuning.embedder import Embedder
from mmgl_tf.finetuning.figures import SEARCH
from mmgl_tf.pipelines.batches.recipe import finetuning_recipe
from mmgl_tf.training.step.model import TrainingModel


class FinetuningModel(TrainingModel):
    """An embedder that learns to tell identities apart.

    A method subclasses this and says how many stems it has (`STREAM`), what its embedder is (`EMBEDDER`,
    `make_embedder`), what it reports (`figures`), what its losses weigh (`terms`), what they read (`outputs`)
    and what they are (`losses`), and which of its variables learn slowly (`SLOW`). A method with a classifier
    and a triplet loss is a `mmgl_tf.finetuning.triplet_model.TripletModel`.

    A batch is what `recipe` says of it, and `labels` int32 [rows], classes from 0, visible images first.

    Args:
        encoder: `mmgl_tf.backbones.Encoder` with `STREAM` streams.
        options: `mmgl_tf.flags.config.options_type` of the method.
        seed: seed of the initial weights of whatever the method adds to the encoder.
        plan: `mmgl_tf.training.plan.TrainingPlan` with the number of classes.

    Attributes:
        shown: tuple of `Figure`, all that a run of this model reports.
    """

    STREAM = "two"
    # Its class says which features there are, without building any.
    EMBEDDER = Embedder
    # Paths of variables that learn at `trunk_lr_multiplier` times the rate.
    SLOW = ("encoder/",)

    def __init__(self, encoder, options, seed, plan, name):
        figures = self.figures(options, plan)
        measured = [f.name for f in figures if f.source == "step" and not f.name.startswith("loss/")]
        super().__init__(encoder, seed, self.terms(options), measured, name)
        self.options = options
        self.plan = plan
        self.shown = (*OF_EVERY_RUN, *SEARCH, *figures)
        self.embedder = self.make_embedder(encoder, options, seed)

    @staticmethod
    def figures(options, plan):
        """The method's figures, each with title and chance.

        Args:
            options, plan: as in the class.

        Returns:
            tuple of `Figure`: a "loss/" one for each term, and the measures of `losses`.
        """
        raise NotImplementedError

    @staticmethod
    def recipe(options):
        """What a training batch is made of: a view of each modality, and classes.

        Args:
            options: as in the class.

        Returns:
            `mmgl_tf.pipelines.batches.recipe.Recipe`, with `Labels` among its targets.
        """
        return finetuning_recipe(options)

    @staticmethod
    def terms(options):
        """{term of the loss: its weight}."""
        raise NotImplementedError

    def describe(self):
        """What distinguishes the network, for the announcement: "395 classes"."""
        return f"{self.plan.num_identities} classes"

    @classmethod
    def make_embedder(cls, encoder, options, seed):
        """The method's `EMBEDDER`; evaluation and export need no more of the method than this.

        Args:
            encoder: `Encoder`.
            options: as in the class.
            seed: integer.
        """
        del options
        return cls.EMBEDDER(encoder, seed=3 * seed)

    def build_from(self, height, width):
        """Makes every weight, for images of a size in pixels."""
        raise NotImplementedError

    def learning_rate_multipliers(self):
        """{prefix of a variable's path: factor on the learning rate}."""
        return dict.fromkeys(self.SLOW, self.options.trunk_lr_multiplier)

    def saved_layers(self):
        """The embedder too: all that evaluation and export need."""
        return super().saved_layers() | {"embedder": self.embedder}
