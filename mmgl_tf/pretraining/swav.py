"""SwAV: from one view predict the cluster that the batch assigned to another view (Caron et al. 2020)."""

import math

import tensorflow as tf

from mmgl_tf.figures import HAS_NONE, Figure
from mmgl_tf.layers.full_precision import full_precision
from mmgl_tf.layers.heads.projector import Projector
from mmgl_tf.layers.heads.prototypes import Prototypes
from mmgl_tf.losses.cycle_contrast import l2_normalise
from mmgl_tf.losses.modality_scope import by_scope
from mmgl_tf.losses.swapped_assignment import (
    prototype_use,
    sinkhorn_codes,
    swapped_accuracy,
    swapped_assignment_loss,
)
from mmgl_tf.pipelines.augmentation.person_views import crop_of, person_chain, person_views
from mmgl_tf.pipelines.batches.recipe import HeldOut, Recipe, each_modality
from mmgl_tf.pretraining.pictures import prototypes as prototype_pictures
from mmgl_tf.pretraining.two_views import TwoViewModel

ASSIGNING = 2  # views of full size, whose assignments the others predict


class SwAv(TwoViewModel):
    """SwAV; `options` as in `mmgl_tf.flags.methods.swav`.

    A queue of earlier embeddings makes up for batches with fewer images than prototypes. It keeps visible and
    infrared rows apart, [assigning view, modality, Q / 2, D], newest first, and takes part once it is full.
    """

    def __init__(self, encoder, options, seed, plan, name="swav"):
        super().__init__(encoder, options, seed, plan, {"swapped": 1.0}, name)
        widths = (options.swav_hidden_size, options.swav_embedding_size)
        self.projector = Projector(widths, seed=seed)
        self.prototypes = Prototypes(options.swav_prototypes, seed=seed)
        self.queue = self.queued = None
        if options.swav_queue_size:
            shape = (ASSIGNING, 2, options.swav_queue_size // 2, options.swav_embedding_size)
            self.queue = self._state("queue", shape, full_precision())
            self.queued = self._state("queued", (), "int32")

    def _state(self, name, shape, dtype):
        return self.add_weight(
            name=name, shape=shape, dtype=dtype, initializer="zeros", trainable=False, autocast=False
        )

    @classmethod
    def recipe(cls, options):
        """Two views of full size, and smaller ones that show a smaller part."""
        views = each_modality(person_views(options, cls.ASYMMETRIC))
        crop = crop_of(options, options.swav_small_min_scale, options.swav_small_max_scale)
        size = (options.swav_small_height, options.swav_small_width)
        chains = [
            [person_chain(options, modality, crop, options.view_blur)] * options.swav_small_crops
            for modality in range(2)
        ]
        more = each_modality(chains, *size, first=ASSIGNING)
        return Recipe(views + more)

    @classmethod
    def held_out(cls, options):
        """The two views of full size alone."""
        return HeldOut(Recipe(each_modality(person_views(options, cls.ASYMMETRIC))), whole_batches=True)

    @classmethod
    def figures(cls, options, plan):
        """The loss, ln K where scores tell nothing, and how many prototypes are in use."""
        count = options.swav_prototypes
        return (
            Figure("loss/swapped", "swapped assignment", math.log(count), short="swapped"),
            Figure("accuracy/swapped", "other view's cluster predicted", 1 / count, "share"),
            Figure("prototypes/entropy", "use of the prototypes, entropy", HAS_NONE),
            Figure("prototypes/largest_share", "images of the most used prototype", HAS_NONE, "share"),
            Figure("prototypes/queue", "share of the queue that is filled", HAS_NONE, "share"),
            *cls.two_view_figures(plan),
        )

    def build_from(self, height, width):
        """See `PretrainingModel`."""
        self.encoder.build_from(height, width)
        self.projector.build((None, self.encoder.num_features))
        self.prototypes.build((None, self.options.swav_embedding_size))
        self.built = True

    def optimizer_options(self, optimizer):
        """The authors' LARS scales vectors too, and has a form of its own."""
        theirs = optimizer == "lars" and self.options.swav_adapt_vectors
        return {"form": "larc", "adapt_vectors": True} if theirs else {}

    def rate_factors(self, step):
        """The prototypes stand still in the first epochs."""
        frozen = self.options.swav_frozen_epochs * self.plan.steps_per_epoch
        return {"prototypes/": tf.where(step < frozen, 0.0, 1.0)} if frozen else {}

    def head(self, features, training):
        """The projection, in unit length, and its scores."""
        projection = l2_normalise(self.projector(features, training=training))
        return {"projection": projection, "scores": self.prototypes(projection)}

    def outputs(self, batch):
        """Projections and scores of the views, those of full size first; of small ones scores alone."""
        count = ASSIGNING + self.options.swav_small_crops
        found = self.headed(self._head_in_training, self.views(batch, training=True, count=count))
        unread = {f"projection_{number}" for number in range(ASSIGNING + 1, count + 1)}
        return {name: value for name, value in found.items() if name not in unread}

    def joint(self, outputs):
        """The queue's scores by the present prototypes, visible rows first."""
        if self.queue is None:
            return outputs
        rows = tf.reshape(tf.convert_to_tensor(self.queue), [ASSIGNING, -1, self.queue.shape[-1]])
        scores = tf.stop_gradient(tf.map_fn(self.prototypes, rows))
        return outputs | {f"queue_{k + 1}": scores[k] for k in range(ASSIGNING)}

    def losses(self, outputs, seed):
        """Cross-entropy of each view's prediction and another's code."""
        del seed  # nothing is drawn
        views = ASSIGNING + self.options.swav_small_crops
        scores = [outputs[f"scores_{k}"] for k in range(1, views + 1)]
        queues = [outputs[f"queue_{k}"] for k in range(1, ASSIGNING + 1) if self.queue is not None]
        loss, accuracy = by_scope(self._swapped, self.options.view_scope, scores, queues)
        entropy, largest = prototype_use(tf.concat(scores[:ASSIGNING], axis=0))
        filled = 0.0 if self.queue is None else self._filled()
        measures = {
            "accuracy/swapped": accuracy,
            "prototypes/entropy": entropy,
            "prototypes/largest_share": largest,
            "prototypes/queue": tf.convert_to_tensor(filled, tf.float32),
        }
        return {"swapped": loss}, measures | self.partner_measure(outputs)

    def _swapped(self, scores, queues):
        options = self.options
        codes = []
        for k in range(ASSIGNING):
            code = sinkhorn_codes(scores[k], options.swav_epsilon, options.swav_sinkhorn_iters)
            if queues:
                more = sinkhorn_codes(
                    scores[k], options.swav_epsilon, options.swav_sinkhorn_iters, queue=queues[k]
                )
                code = tf.where(self._filled() >= 1.0, more, code)
            codes.append(code)
        loss = swapped_assignment_loss(scores, codes, options.swav_temperature)
        return loss, swapped_accuracy(scores, codes)

    def _filled(self):
        return tf.cast(self.queued, tf.float32) / float(self.options.swav_queue_size)

    def after_update(self, outputs, step):
        """Prototypes back to unit length; the batch joins the queue from its first epoch on."""
        moves = [(self.prototypes.kernel, self.prototypes.normalised())]
        if self.queue is None:
            return moves
        new = tf.stack([outputs[f"projection_{k}"] for k in range(1, ASSIGNING + 1)])
        new = tf.reshape(new, [ASSIGNING, 2, -1, new.shape[-1]])
        each = tf.shape(new)[2]
        old = tf.convert_to_tensor(self.queue)
        joined = tf.concat([new, old[:, :, : tf.shape(old)[2] - each]], axis=2)
        starts = self.options.swav_queue_start_epoch * self.plan.steps_per_epoch
        open_ = step >= starts
        count = tf.convert_to_tensor(self.queued)
        more = tf.minimum(count + 2 * each, self.options.swav_queue_size)
        return [
            *moves,
            (self.queue, tf.where(open_, joined, old)),
            (self.queued, tf.where(open_, more, count)),
        ]

    def probed(self, batch):
        """Also the scores of the first view."""
        found = super().probed(batch)
        return found | {"scores": self.prototypes(found["projection"])}

    def probe_pictures(self, found, batch, identities, source, scale):
        """Partners, and which images share a prototype."""
        pictures = super().probe_pictures(found, batch, identities, source, scale)
        return pictures | prototype_pictures.probe_pictures(found, batch, source, scale)
