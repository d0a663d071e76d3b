"""What fine-tuning methods share: embedder, bias-free classifier, cross-entropy beside a metric loss."""

import keras
import tensorflow as tf

from mmgl_tf.figures import OF_EVERY_RUN
from mmgl_tf.finetuning.embedder import Embedder
from mmgl_tf.finetuning.figures import SEARCH, triplet_figures
from mmgl_tf.layers.full_precision import full_precision
from mmgl_tf.losses.identification.identity import identity_accuracy, identity_loss
from mmgl_tf.pipelines.batches.recipe import finetuning_recipe
from mmgl_tf.pipelines.records import MODALITIES
from mmgl_tf.training.step.model import TrainingModel


class FinetuningModel(TrainingModel):
    """An embedder that learns to tell identities apart (spec 4.0).

    A method subclasses this, says how many stems it has (`STREAM`), which of its learning-rate groups are
    slow, what its embedder is (`EMBEDDER`, `make_embedder`) and what pulls embeddings of one person together
    (`metric_loss`).

    What it reports is in `figures`.

    A batch is a dict: `visible`, `infrared` float32 [B, H, W, 3] (normalised) and `labels` int32 [2B],
    classes from 0, visible images first.

    Args:
        encoder: `mmgl_tf.backbones.Encoder` with `STREAM` streams.
        options: `mmgl_tf.flags.config.options_type` of the method.
        seed: seed of the initial weights of neck, classifier and whatever the method adds.
        plan: `mmgl_tf.training.plan.TrainingPlan` with the number of classes.

    Attributes:
        shown: tuple of `Figure`, all that a run of this model reports.
    """

    STREAM = "two"
    figures = staticmethod(triplet_figures)
    # Its class says which features there are, without building any.
    EMBEDDER = Embedder
    # Paths of variables that learn at `trunk_lr_multiplier` times the rate: all but neck and classifier.
    SLOW = ("encoder/",)

    def __init__(self, encoder, options, seed, plan, name):
        figures = self.figures(options, plan)
        measured = [f.name for f in figures if f.source == "step" and not f.name.startswith("loss/")]
        super().__init__(encoder, seed, self.terms(options), measured, name)
        self.options = options
        self.plan = plan
        self.shown = (*OF_EVERY_RUN, *SEARCH, *figures)
        self.embedder = self.make_embedder(encoder, options, seed)
        self.classifier = keras.layers.Dense(
            plan.num_identities,
            use_bias=False,
            kernel_initializer=keras.initializers.RandomNormal(stddev=0.001, seed=3 * seed + 1),
            dtype=full_precision(),
            name="classifier",
        )

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
        return {"identity": 1.0, "triplet": options.triplet_weight}

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

    def metric_loss(self, features, labels):
        """The loss on un-normalised pooled features.

        Args:
            features: float32 [n, C].
            labels: int32 [n].

        Returns:
            (loss, share of anchors that are right), float32 scalars.
        """
        raise NotImplementedError

    def build_from(self, height, width):
        """Makes every weight, for images of a size in pixels."""
        self.embedder.build_from(height, width)
        self.classifier.build((None, self.embedder.feature_sizes["neck"]))
        self.built = True

    def learning_rate_multipliers(self):
        """{prefix of a variable's path: factor on the learning rate}."""
        return dict.fromkeys(self.SLOW, self.options.trunk_lr_multiplier)

    def saved_layers(self):
        """The embedder too: all that evaluation and export need."""
        return super().saved_layers() | {"embedder": self.embedder}

    def call(self, images, training=False):
        """Features and logits, float32: {"pool" [n, C], "neck" [n, C], "logits" [n, identities]}."""
        features = self.embedder(images, training=training)
        return features | {"logits": self.classifier(features["neck"])}

    def outputs(self, batch):
        """Pooled features, logits and classes: {"pool", "logits", "labels"}."""
        found = self({name: batch[name] for name in MODALITIES}, training=True)
        return {"pool": found["pool"], "logits": found["logits"], "labels": batch["labels"]}

    def losses(self, outputs, seed):
        """Cross-entropy on the neck's side, the metric loss before the neck."""
        del seed  # nothing is drawn
        labels = outputs["labels"]
        metric, right = self.metric_loss(outputs["pool"], labels)
        terms = {"identity": identity_loss(outputs["logits"], labels), "triplet": metric}
        measures = {
            "accuracy/identity": identity_accuracy(outputs["logits"], labels),
            "accuracy/triplet": right,
            "embedding/spread": angular_spread(outputs["pool"]),
        }
        return terms, measures


def angular_spread(features):
    """One minus the mean cosine of all pairs: 0 where all point the same way, about 1 where evenly spread.

    Args:
        features: float32 [n, C].

    Returns:
        float32 scalar in [0, 1]. Vectors of length 0 count as pointing nowhere; if all are, it is 0 too.
    """
    length = tf.norm(features, axis=1, keepdims=True)
    unit = tf.math.divide_no_nan(features, length)
    centre = tf.reduce_mean(unit, axis=0)
    # As the mean squared distance to the centre: 1 - |centre|^2 would lose all digits where it matters.
    return tf.reduce_mean(tf.reduce_sum(tf.square(unit - centre), axis=1))
