"""Supervised pre-training: identities, or any labels, as classes, on images of one modality or of both."""

import math

import tensorflow as tf

from mmgl_tf.figures import Figure
from mmgl_tf.layers.linear import Linear
from mmgl_tf.losses.identification.identity import identity_accuracy, identity_loss
from mmgl_tf.losses.identity_order import identity_order
from mmgl_tf.pipelines.batches.recipe import HeldOut, Labels, Recipe, baseline_chain, each_modality
from mmgl_tf.pipelines.records import MODALITIES
from mmgl_tf.pretraining.base import pooled
from mmgl_tf.pretraining.pictures import identities as identity_pictures
from mmgl_tf.pretraining.unseen_stem import UnseenStemModel


class Supervised(UnseenStemModel):
    """A classifier on the pooled feature map, as ImageNet's networks have it.

    On the people of the data set it is told who is who, and is no stand-in for ImageNet.

    A batch is a dict: `visible` and/or `infrared` float32 [B, H, W, 3], and `labels` int32, a row for each
    image, visible ones first. Whether the features know people that were held out is measured by
    `identity_order`, as their identities are none of the classes.
    """

    def __init__(self, encoder, options, seed, plan, name="supervised"):
        super().__init__(encoder, options, seed, plan, {"identity": 1.0}, name)
        self.classifier = Linear(max(plan.num_identities, 1), seed=seed, name="classifier")

    @staticmethod
    def figures(options, plan):
        """Chance is that of as many classes as there are."""
        del options
        classes = max(plan.num_identities, 1)
        return (
            Figure("loss/identity", "identity cross-entropy", math.log(classes), short="identity"),
            Figure("accuracy/identity", "identity right", 1 / classes, "share", short="right"),
            Figure(
                "accuracy/identity_order",
                "same person before others",
                1 / 2,
                "share",
                held_out=True,
                source="held_out",
            ),
        )

    @staticmethod
    def recipe(options):
        """A view of each modality that is trained on, through the chain of MMGL and the baselines."""
        return Recipe(_views(options, lambda modality: baseline_chain(options, modality)), (Labels(),))

    @staticmethod
    def held_out(options):
        """Every image as it is, in whole batches of mixed people, as images are compared."""
        return HeldOut(Recipe(_views(options, lambda modality: ()), (Labels(),)), whole_batches=True)

    def build_from(self, height, width):
        """See `PretrainingModel`."""
        self.encoder.build_from(height, width)
        self.classifier.build((None, self.encoder.num_features))
        self.built = True

    def describe(self):
        """See `PretrainingModel`."""
        return f"{self.plan.num_identities} classes"

    def features(self, batch, training):
        """Pooled feature maps of all images, float32 [n, C], visible ones first."""
        return pooled(self.encoder, {m: batch[m] for m in self.modalities}, training)

    def outputs(self, batch):
        """Scores and labels."""
        return {
            "identity_logits": self.classifier(self.features(batch, training=True)),
            "labels": batch["labels"],
        }

    def losses(self, outputs, seed):
        """Cross-entropy over the identities of the training set."""
        del seed  # nothing is drawn
        logits, labels = outputs["identity_logits"], outputs["labels"]
        return (
            {"identity": identity_loss(logits, labels)},
            {"accuracy/identity": identity_accuracy(logits, labels)},
        )

    def validation_outputs(self, batch):
        """Features and who is on the images."""
        return {
            "features": self.features(batch, training=False),
            "labels": batch["labels"],
            "weight": batch["weight"],
        }

    def validation_figures(self, outputs):
        """Whether the same person comes before others, among images of a batch of one modality."""
        count = len(self.modalities)
        halves = zip(
            self.modalities,
            tf.split(outputs["features"], count),
            tf.split(outputs["labels"], count),
            tf.split(outputs["weight"], count),
            strict=True,
        )
        found = {}
        for modality, features, labels, weight in halves:
            values, counts = identity_order(features, labels)
            found[f"accuracy/identity_order_{modality}"] = values, counts * weight
        return found

    def score_name(self):
        """See `PretrainingModel`."""
        return "accuracy/identity_order"

    def probed(self, batch):
        """Pooled features."""
        return {"features": self.features(batch, training=False)}

    def probe_pictures(self, found, batch, identities, source, scale):
        """Whom the nearest image shows."""
        return identity_pictures.probe_pictures(found, batch, self.modalities, source, scale)

    def batch_pictures(self, batch, scale):
        """Augmented images and their classes."""
        return identity_pictures.batch_pictures(batch, self.modalities, scale)


def _views(options, chain_of):
    """Views of the modalities that are trained on."""
    named = options.supervised_modalities
    shown = [number for number, name in enumerate(MODALITIES) if named in (name, "both")]
    views = each_modality([[chain_of(modality)] for modality in range(len(MODALITIES))])
    return tuple(view for view in views if view.modality in shown)
