"""What methods share that compare two views of an image: recipe, network, measures, pictures."""

import itertools

import tensorflow as tf

from mmgl_tf.figures import Figure
from mmgl_tf.layers.normalization.frozen_statistics import frozen_statistics
from mmgl_tf.losses.partner_retrieval import partner_found
from mmgl_tf.pipelines.augmentation.person_views import person_views
from mmgl_tf.pipelines.batches.recipe import HeldOut, Recipe, each_modality
from mmgl_tf.pipelines.records import MODALITIES
from mmgl_tf.pretraining.base import PretrainingModel, pooled
from mmgl_tf.pretraining.monitor.probe import OF_PROJECTIONS
from mmgl_tf.pretraining.pictures import two_views as two_view_pictures


class TwoViewModel(PretrainingModel):
    """An encoder trained on pairs of views of the same image; visible and infrared images are unrelated.

    A method subclasses this and says which heads turn pooled features into what it compares (`head`), and
    what its losses are.

    A batch is a dict: `visible`, `infrared` float32 [B, H, W, 3] and, of the same images, `visible_2`,
    `infrared_2`.

    Args:
        As `PretrainingModel`.
    """

    # BYOL and Barlow Twins blur and solarise the two views with odds of their own.
    ASYMMETRIC = False

    @classmethod
    def recipe(cls, options):
        """Two views of each image."""
        return Recipe(each_modality(person_views(options, cls.ASYMMETRIC)))

    @classmethod
    def held_out(cls, options):
        """The same views of held-out images, under fixed draws; whole batches, as images are compared."""
        return HeldOut(cls.recipe(options), whole_batches=True)

    @staticmethod
    def two_view_figures(plan):
        """The measure that all these methods have.

        Args:
            plan: `mmgl_tf.training.plan.TrainingPlan`.

        Returns:
            tuple of `Figure`.
        """
        return (
            Figure(
                "accuracy/partner",
                "other view found in the batch",
                1 / plan.batch_size,
                "share",
                short="partner",
                held_out=True,
                held_out_chance=1 / (plan.held_out_images or plan.batch_size),
            ),
            *OF_PROJECTIONS,
        )

    def head(self, features, training):
        """What a view's pooled features become.

        Args:
            features: float32 [2b, C].
            training: batch norm uses batch statistics.

        Returns:
            {name: float32 [2b, D]}; "projection" is what `partner_found` and the collapse monitor look at.
        """
        raise NotImplementedError

    def views(self, batch, training, encoder=None, count=2):
        """Pooled features of each view, a list of float32 [2b, C].

        Args:
            batch: see the class.
            training: batch norm uses batch statistics: of a view by itself, or with --view_joint of all views
                of its size, which then go through the encoder in one pass.
            encoder: None for the one that is trained.
            count: views, from the first on; those of one size in a row.
        """
        encoder = encoder or self.encoder
        images = [
            {m: batch[m if number == 0 else f"{m}_{number + 1}"] for m in MODALITIES}
            for number in range(count)
        ]
        if not self.options.view_joint:
            return [pooled(encoder, view, training) for view in images]
        found = []
        for _, alike in itertools.groupby(images, lambda view: tuple(view[MODALITIES[0]].shape[1:])):
            alike = list(alike)
            whole = {m: tf.concat([view[m] for view in alike], axis=0) for m in MODALITIES}
            halves = tf.split(pooled(encoder, whole, training), 2)
            sides = [tf.split(half, len(alike)) for half in halves]
            found += [tf.concat(pair, axis=0) for pair in zip(*sides, strict=True)]
        return found

    def headed(self, head, features):
        """What a head makes of each view: {name + "_1", name + "_2", ...}.

        With --view_joint it sees all views in one pass, whatever their sizes were, as SwAV's authors have it.

        Args:
            head: function float32 [n, C] -> {name: [n, ...]}.
            features: of each view, from `views`.
        """
        if self.options.view_joint:
            joint = head(tf.concat(features, axis=0))
            return {
                f"{name}_{number}": rows
                for name, value in joint.items()
                for number, rows in enumerate(tf.split(value, len(features)), 1)
            }
        return {
            f"{name}_{number}": value
            for number, view in enumerate(features, 1)
            for name, value in head(view).items()
        }

    def outputs(self, batch):
        """The heads' outputs of both views: {name + "_1", name + "_2"}."""
        return self.headed(self._head_in_training, self.views(batch, training=True))

    def _head_in_training(self, features):
        return self.head(features, training=True)

    @staticmethod
    def partner_measure(outputs):
        """{"accuracy/partner"}: the mean over modalities, each by itself."""
        halves = zip(*(tf.split(outputs[f"projection_{k}"], 2) for k in (1, 2)), strict=True)
        found = [tf.reduce_mean(partner_found(first, second)) for first, second in halves]
        return {"accuracy/partner": (found[0] + found[1]) / 2.0}

    def validation_outputs(self, batch):
        """Projections of both views, batch norm in inference mode."""
        found = {"weight": batch["weight"]}
        for number, features in enumerate(self.views(batch, training=False), 1):
            found[f"projection_{number}"] = self.head(features, training=False)["projection"]
        return found

    def validation_figures(self, outputs):
        """Whether the other view is found among those of the same modality."""
        sides = zip(*(tf.split(outputs[f"projection_{k}"], 2) for k in (1, 2)), strict=True)
        weights = tf.split(outputs["weight"], 2)
        return {
            f"accuracy/partner_{modality}": (partner_found(*side), weight)
            for modality, side, weight in zip(MODALITIES, sides, weights, strict=True)
        }

    def score_name(self):
        """See `PretrainingModel`."""
        return "accuracy/partner"

    def judged_rows(self, features, visible):
        """What the losses compare of a view, in training.

        Args:
            features: float32 [n, C], its pooled features.
            visible: how many of the rows are visible images'.

        Returns:
            {"judged": float32 [n, D]}, and "before_norm" for some; see `PretrainingModel.probed`.
        """
        del visible
        return {"judged": self.head(features, training=True)["projection"]}

    def probed(self, batch):
        """Pooled features and projections of both views, and what the collapse monitor judges."""
        first, second = self.views(batch, training=False)
        with frozen_statistics():
            judged = self.judged_rows(self.views(batch, training=True)[0], tf.shape(batch[MODALITIES[0]])[0])
        return {
            "features": first,
            "projection": self.head(first, training=False)["projection"],
            "projection_2": self.head(second, training=False)["projection"],
            **judged,
        }

    def probe_pictures(self, found, batch, identities, source, scale):
        """Whom a view's nearest other view shows."""
        return two_view_pictures.probe_pictures(found, batch, source, scale)

    def batch_pictures(self, batch, scale):
        """Both views of some images."""
        return two_view_pictures.batch_pictures(batch, scale)
