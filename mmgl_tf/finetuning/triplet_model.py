"""Methods with one classifier without bias behind the neck, and a metric loss before it (spec 4.0)."""

import keras
import tensorflow as tf

from mmgl_tf.finetuning.base import FinetuningModel
from mmgl_tf.finetuning.figures import triplet_figures
from mmgl_tf.layers.full_precision import full_precision
from mmgl_tf.losses.identification.identity import identity_accuracy, identity_loss
from mmgl_tf.pipelines.records import MODALITIES


class TripletModel(FinetuningModel):
    """Cross-entropy on the neck's side, a loss that compares pooled features on the other.

    A method subclasses this and says what pulls embeddings of one person together (`metric_loss`).

    A batch is a dict: `visible`, `infrared` float32 [B, H, W, 3] (normalised) and `labels` int32 [2B],
    classes from 0, visible images first.
    """

    figures = staticmethod(triplet_figures)

    def __init__(self, encoder, options, seed, plan, name):
        super().__init__(encoder, options, seed, plan, name)
        self.classifier = keras.layers.Dense(
            plan.num_identities,
            use_bias=False,
            kernel_initializer=keras.initializers.RandomNormal(stddev=0.001, seed=3 * seed + 1),
            dtype=full_precision(),
            name="classifier",
        )

    @staticmethod
    def terms(options):
        """{term of the loss: its weight}."""
        return {"identity": 1.0, "triplet": options.triplet_weight}

    def metric_loss(self, features, labels):
        """The loss on un-normalised pooled features.

        Args:
            features: float32 [n, C].
            labels: int32 [n].

        Returns:
            (loss, {measure: value}), float32 scalars; of the measures one is "accuracy/triplet", the share of
            anchors that are right.
        """
        raise NotImplementedError

    def build_from(self, height, width):
        """Makes every weight, for images of a size in pixels."""
        self.embedder.build_from(height, width)
        self.classifier.build((None, self.embedder.feature_sizes["neck"]))
        self.built = True

    def call(self, images, training=False):
        """Features and logits, float32: {"pool" [n, C], "neck" [n, C], "logits" [n, identities]}."""
        features = self.embedder(images, training=training)
        return features | {"logits": self.classifier(features["neck"])}

    def images_of(self, batch):
        """What the network is shown of a batch: {"visible", "infrared"}, a stem's images each."""
        return {name: batch[name] for name in MODALITIES}

    def outputs(self, batch):
        """Pooled features, logits and classes: {"pool", "logits", "labels"}."""
        found = self(self.images_of(batch), training=True)
        return {"pool": found["pool"], "logits": found["logits"], "labels": batch["labels"]}

    def losses(self, outputs, seed):
        """Cross-entropy on the neck's side, the metric loss before the neck."""
        del seed  # nothing is drawn
        labels = outputs["labels"]
        metric, measures = self.metric_loss(outputs["pool"], labels)
        terms = {"identity": identity_loss(outputs["logits"], labels), "triplet": metric}
        measures = measures | {
            "accuracy/identity": identity_accuracy(outputs["logits"], labels),
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
