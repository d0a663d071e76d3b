"""MMGL: permutation recovery, cycle contrast and part classification on one encoder (paper section III)."""

import keras
import tensorflow as tf

from mmgl_tf.layers.full_precision import at_least_float32, full_precision
from mmgl_tf.layers.gumbel_sinkhorn import GumbelSinkhorn, row_error
from mmgl_tf.layers.heads.permutation_head import PermutationHead
from mmgl_tf.layers.heads.stripe_head import StripeHead
from mmgl_tf.layers.normalization.frozen_statistics import frozen_statistics
from mmgl_tf.layers.stripe_pooling import StripePooling
from mmgl_tf.losses.cycle_contrast import cycle_contrast_loss, l2_normalise
from mmgl_tf.losses.cycle_sets import by_body_part, without_slot_means
from mmgl_tf.losses.part_classification import part_accuracy, part_loss
from mmgl_tf.losses.permutation import permutation_loss
from mmgl_tf.pipelines.batches.recipe import mmgl_held_out, mmgl_recipe
from mmgl_tf.pipelines.records import MODALITIES
from mmgl_tf.pretraining.base import PretrainingModel
from mmgl_tf.pretraining.mmgl_figures import mmgl_figures
from mmgl_tf.pretraining.monitor.permutation_recovery import permutation_accuracy
from mmgl_tf.pretraining.pictures import stripe_orders as stripe_order_pictures


class Mmgl(PretrainingModel):
    """The pre-training model of the paper.

    Args:
        encoder: `mmgl_tf.backbones.Encoder`.
        options: settings of MMGL, see `mmgl_tf.flags.methods.mmgl`.
        seed: seed of the heads' initial weights and of the Gumbel noise.
        plan: `mmgl_tf.training.plan.TrainingPlan`.
    """

    figures = staticmethod(mmgl_figures)

    @staticmethod
    def recipe(options):
        """A view of each modality, in shuffled stripes."""
        return mmgl_recipe(options, options.num_stripes)

    @staticmethod
    def held_out(options):
        """Every image as it is, under fixed orders."""
        return mmgl_held_out(options.num_stripes, options.validation_permutations)

    def __init__(self, encoder, options, seed, plan, name="mmgl"):
        weights = {}
        if options.permutation:
            weights["permutation"] = 1.0
        if options.part:
            weights["part"] = options.part_weight
        if options.pcc:
            weights["cycle_contrast"] = options.pcc_weight
        super().__init__(encoder, options, seed, plan, weights, name)
        self.pcc_start_step = options.pcc_start_epoch * plan.steps_per_epoch
        # A head whose term is off does not exist: it would get no gradient.
        self.stripe_pooling = StripePooling(options.num_stripes, name="stripe_pooling")
        if options.permutation:
            self.permutation_head = PermutationHead(
                options.num_stripes, options.perm_init_stddev, seed=3 * seed, name="permutation_head"
            )
            self.gumbel_sinkhorn = GumbelSinkhorn(
                options.sinkhorn_iters,
                options.sinkhorn_tau,
                options.gumbel_samples,
                options.gumbel_scale,
                name="gumbel_sinkhorn",
            )
        if options.part or options.pcc:
            self.stripe_head = StripeHead(
                options.num_stripes,
                options.part_embedding_size,
                shared=options.pcb_shared,
                batch_norm=options.pcb_bn,
                relu=options.pcb_relu,
                seed=3 * seed + 1,
                name="stripe_head",
            )
        if options.part:
            # Small initial weights, as the field's classifiers have: the term starts at ln N, its chance.
            self.part_classifier = keras.layers.Dense(
                options.num_stripes,
                kernel_initializer=keras.initializers.RandomNormal(stddev=0.001, seed=3 * seed + 2),
                dtype=full_precision(),
                name="part_classifier",
            )

    def build_from(self, height, width):
        """Make every weight, for images of a size in pixels.

        Raises:
            ValueError: the network's stride does not divide the size, or the stripes not the feature map.
        """
        rows, columns = self.encoder.build_from(height, width)
        options, feature_map = self.options, (None, rows, columns, self.encoder.num_features)
        self.stripe_pooling.build(feature_map)
        if options.permutation:
            self.permutation_head.build(feature_map)
        if options.part or options.pcc:
            self.stripe_head.build((None, options.num_stripes, self.encoder.num_features))
        if options.part:
            self.part_classifier.build((None, options.num_stripes, options.part_embedding_size))
        self.built = True

    def call(self, images, training=False):
        """All heads on shuffled images.

        Args:
            images: dict of `visible` and/or `infrared`, float32 [B, H, W, 3].
            training: batch norm uses batch statistics.

        Returns:
            dict, visible images first (n = 2B): `features` float32 [n, C], the pooled feature map; `stripes`
            float32 [n, N, D], the stripe head's output (the trunk's pooled stripes where no term uses the
            head), and `parts`, the same in unit length; with their terms on, `permutation_logits` float32
            [n, N, N], rows = shuffled slots, columns = original positions, and `part_logits` float32
            [n, N, N].
        """
        options, feature_map = self.options, self.encoder(images, training=training)
        stripes = self.stripe_pooling(feature_map)
        if options.part or options.pcc:
            stripes = self.stripe_head(stripes, training=training)
        heads = {
            "features": tf.reduce_mean(at_least_float32(feature_map), axis=[1, 2]),
            "stripes": stripes,
            "parts": l2_normalise(stripes),
        }
        if options.permutation:
            heads["permutation_logits"] = self.permutation_head(feature_map)
        if options.part:
            classified = stripes if options.part_ce_input == "pre" else heads["parts"]
            heads["part_logits"] = self.part_classifier(classified)
        return heads

    def outputs(self, batch):
        """The heads' outputs that a loss reads, and the order of the stripes."""
        heads = self({name: batch[name] for name in MODALITIES}, training=True)
        read = ["permutation_logits"] * self.options.permutation + ["part_logits"] * self.options.part
        read += ["stripes"] * self.options.pcc
        return {name: heads[name] for name in read} | {"permutation": batch["permutation"]}

    def losses(self, outputs, seed):
        """The three terms of Eq. 7; a switched-off term is left out."""
        options, permutation = self.options, outputs["permutation"]
        terms, measures = {}, {}
        if options.permutation:
            logits = outputs["permutation_logits"]
            soft = self.gumbel_sinkhorn(logits, training=True, seed=seed)
            terms["permutation"] = permutation_loss(
                soft,
                permutation,
                kind=options.perm_loss,
                reduction=options.perm_reduction,
                sample_reduce=options.perm_sample_reduce,
                rank_scale=options.rank_scale,
            )
            accuracy = permutation_accuracy(logits, permutation)
            measures["accuracy/permutation_whole"] = tf.reduce_mean(accuracy["whole"])
            measures["accuracy/permutation_stripe"] = tf.reduce_mean(accuracy["stripe"])
            measures["sinkhorn/row_error"] = row_error(soft)
        if options.part:
            terms["part"] = part_loss(outputs["part_logits"], permutation)
            measures["accuracy/part"] = tf.reduce_mean(part_accuracy(outputs["part_logits"], permutation))
        if options.pcc:
            terms["cycle_contrast"] = cycle_contrast_loss(
                *self._contrasted(outputs["stripes"], permutation),
                temperature=options.nce_tau,
                neighbour_temperature=self._soft_temperature,
                renormalise=options.snn_renorm,
                negatives=options.pcc_negatives,
                backward=options.pcc_backward,
                exclude_self=options.pcc_exclude_self,
                universe="pair" if options.pcc_own_set == "part" else options.pcc_universe,
                symmetric=options.pcc_symmetric,
                stop_gradient=options.pcc_stopgrad,
            )
        return terms, measures

    def _contrasted(self, stripes, permutation):
        """Visible and infrared stripes as they are contrasted: [B, N, D], or [N, B, D] by body part."""
        sides = tf.split(stripes, 2, axis=0)
        if self.options.pcc_centre == "slot":
            sides = [without_slot_means(side) for side in sides]
        sides = [l2_normalise(side) for side in sides]
        if self.options.pcc_own_set == "part":
            orders = tf.split(permutation, 2, axis=0)
            sides = [by_body_part(side, order) for side, order in zip(sides, orders, strict=True)]
        return sides

    def term_weight(self, term, step):
        """Eq. 7's weights; the cycle contrast counts from `pcc_start_step` on."""
        weight = self.term_weights[term]
        if term == "cycle_contrast" and self.pcc_start_step:
            return tf.where(tf.cast(step, tf.int64) >= self.pcc_start_step, weight, 0.0)
        return weight

    def validation_outputs(self, batch):
        """The logits of the terms that are on."""
        heads = self({name: batch[name] for name in MODALITIES}, training=False)
        read = ["permutation_logits"] * self.options.permutation + ["part_logits"] * self.options.part
        return {name: heads[name] for name in read} | {
            name: batch[name] for name in ("permutation", "weight")
        }

    def validation_figures(self, outputs):
        """Noise-free accuracies of held-out images, each modality apart (spec: whole, stripe, part)."""
        values = {}
        if self.options.permutation:
            accuracy = permutation_accuracy(outputs["permutation_logits"], outputs["permutation"])
            values["accuracy/permutation_whole"] = accuracy["whole"]
            values["accuracy/permutation_stripe"] = accuracy["stripe"]
        if self.options.part:
            values["accuracy/part"] = part_accuracy(outputs["part_logits"], outputs["permutation"])
        count = tf.shape(outputs["weight"])[0] // 2
        halves = {"visible": slice(None, count), "infrared": slice(count, None)}
        return {
            f"{name}_{modality}": (value[half], outputs["weight"][half])
            for name, value in values.items()
            for modality, half in halves.items()
        }

    def describe(self):
        """See `PretrainingModel`."""
        return f"{self.options.num_stripes} stripes"

    def score_name(self):
        """The accuracy of --select_metric; without permutation recovery that of the parts, if any."""
        if self.options.permutation:
            return f"accuracy/permutation_{self.options.select_metric}"
        return "accuracy/part" if self.options.part else ""

    def probed(self, batch):
        """All heads, noise-free, and the pooled features; what is judged are the stripes of all images."""
        heads = self({name: batch[name] for name in MODALITIES}, training=False)
        if self.options.part or self.options.pcc:
            with frozen_statistics():
                parts = self({name: batch[name] for name in MODALITIES}, training=True)["parts"]
            heads["judged"] = tf.reshape(parts, [-1, parts.shape[-1]])
        return heads

    def probe_figures(self, found, batch, identities):
        """Order recovered, and where soft neighbours lie."""
        return stripe_order_pictures.probe_figures(found, batch, identities, self._soft_temperature)

    def probe_pictures(self, found, batch, identities, source, scale):
        """Stripes put back, and the matching matrix."""
        return stripe_order_pictures.probe_pictures(
            found, batch, identities, self._soft_temperature, source, scale
        )

    @property
    def _soft_temperature(self):
        return self.options.snn_tau or self.options.nce_tau

    def batch_pictures(self, batch, scale):
        """The augmented, shuffled images."""
        return stripe_order_pictures.batch_pictures(batch, scale)
