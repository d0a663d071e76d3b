"""NFS-style: two streams, and a search for the features that count (after Chen et al., 2021).

A reconstruction: NFS has published no code, and what we know of it is its abstract and one figure. Each part
that is our choice is listed in docs/choices.md.
"""

import math

import tensorflow as tf

from mmgl_tf.figures import HAS_NONE, Figure
from mmgl_tf.finetuning.batch_hard import batch_hard
from mmgl_tf.finetuning.figures import triplet_figures
from mmgl_tf.finetuning.gated_embedder import SEARCHED, GatedEmbedder
from mmgl_tf.finetuning.triplet_model import TripletModel
from mmgl_tf.layers.seeded_uniform import seeds_of_rows
from mmgl_tf.losses.identification.centre_contrast import centre_contrast
from mmgl_tf.losses.identification.hetero_centre_triplet import hetero_centre_triplet
from mmgl_tf.pipelines.batches.recipe import Labels, Recipe, Rows, baseline_views
from mmgl_tf.pipelines.records import MODALITIES

GATED = ("channels", "places")


class Nfs(TripletModel):
    """The two-stream network with gates behind each shared stage.

        total = CE(neck) + triplet(pool) + w contrast(pool),   the contrast of identity centres

    Gates are 0 or 1. In training each is drawn for each image, by the image's row in the global batch and the
    step, at a temperature that falls linearly over the first half of the run. Gates and trunk are learnt
    together, in one stage.

    A batch is a dict: `visible`, `infrared` float32 [B, H, W, 3] (normalised), `labels` int32 [2B], classes
    from 0, and `rows` int32 [2B], rows in the global batch; visible images first.
    """

    EMBEDDER = GatedEmbedder

    def __init__(self, encoder, options, seed, plan, name="nfs"):
        super().__init__(encoder, options, seed, plan, name)

    @staticmethod
    def figures(options, plan):
        """Those of the triplet methods; the contrast, and how much the gates let through."""
        people = max(1, plan.batch_size // options.images_per_identity)
        # Of equal centres: a blind guess among P, or both hinges at the margin.
        centre = options.nfs_contrast == "centre"
        flat = math.log(people) if centre else 2.0 * options.nfs_contrast_margin
        cells = [(stage, what, modality) for stage in SEARCHED for what in GATED for modality in MODALITIES]
        return (
            *triplet_figures(options, plan),
            Figure("loss/contrast", "contrast of identity centres", flat, short="contrast"),
            Figure(
                "accuracy/contrast",
                "identity's centre found in the other modality",
                1.0 / people if centre else HAS_NONE,
                "share",
            ),
            *(Figure(f"kept/{what}", f"{what} that the gates keep", HAS_NONE, "share") for what in GATED),
            *(
                Figure(
                    f"kept/{stage}_{what}_{modality}",
                    f"{what} kept behind {stage}, {modality}",
                    HAS_NONE,
                    "share",
                    summary=False,
                )
                for stage, what, modality in cells
            ),
        )

    @staticmethod
    def recipe(options):
        """The baselines' batch, and the rows by which gates draw."""
        return Recipe(baseline_views(options), (Labels(), Rows()))

    @staticmethod
    def terms(options):
        """{term of the loss: its weight}."""
        return TripletModel.terms(options) | {"contrast": options.nfs_contrast_weight}

    @classmethod
    def make_embedder(cls, encoder, options, seed):
        """With the gates; see `FinetuningModel.make_embedder`."""
        return cls.EMBEDDER(encoder, options.nfs_reduction, options.nfs_residual, seed=3 * seed)

    def metric_loss(self, features, labels):
        """Batch-hard triplet loss; see `TripletModel.metric_loss`."""
        return batch_hard(features, labels, self.options)

    def temperature(self):
        """Of the gates at this step: linear over the first half of the run, then constant."""
        first, last = self.options.nfs_temperature, self.options.nfs_temperature_final
        half = max(1.0, 0.5 * self.plan.total_steps)
        gone = tf.minimum(tf.cast(self.optimizer.iterations, tf.float32) / half, 1.0)
        return first + (last - first) * gone

    def outputs(self, batch):
        """Pooled features, logits, classes, and what the gates kept: {"pool", "logits", "labels", "kept"}."""
        seeds = seeds_of_rows(self.step_seed(), batch["rows"])
        images, embedder = self.images_of(batch), self.embedder
        feature_map, kept = embedder.gated(images, True, self.temperature(), seeds)
        pool = embedder.pool(feature_map)
        logits = self.classifier(embedder.neck(pool, training=True))
        return {"pool": pool, "logits": logits, "labels": batch["labels"], "kept": kept}

    def losses(self, outputs, seed):
        """The terms of the class, each by itself."""
        terms, measures = super().losses(outputs, seed)
        # int32 [2B], visible rows first.
        rows = tf.range(tf.shape(outputs["labels"])[0])
        modalities = tf.cast(rows >= tf.shape(rows)[0] // 2, tf.int32)
        terms["contrast"], measures["accuracy/contrast"] = self._contrast(
            outputs["pool"], outputs["labels"], modalities
        )
        # [modality, stage, kind]
        kept = tf.reduce_mean(tf.reshape(outputs["kept"], [2, -1, len(SEARCHED), len(GATED)]), axis=1)
        for k, what in enumerate(GATED):
            measures[f"kept/{what}"] = tf.reduce_mean(kept[:, :, k])
            for s, stage in enumerate(SEARCHED):
                for m, modality in enumerate(MODALITIES):
                    measures[f"kept/{stage}_{what}_{modality}"] = kept[m, s, k]
        return terms, measures

    def _contrast(self, features, labels, modalities):
        """(loss, share of centres that are right)."""
        options = self.options
        if options.nfs_contrast == "centre":
            return centre_contrast(features, labels, modalities, options.nfs_contrast_temperature)
        return hetero_centre_triplet(features, labels, modalities, options.nfs_contrast_margin)
