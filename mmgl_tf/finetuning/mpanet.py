"""MPANet: patterns found together in both modalities, classifiers that teach each other (Wu et al., 2021)."""

import math

import tensorflow as tf

from mmgl_tf.figures import HAS_NONE, Figure
from mmgl_tf.finetuning.base import FinetuningModel
from mmgl_tf.finetuning.pattern_embedder import PatternEmbedder
from mmgl_tf.finetuning.triplet_model import angular_spread
from mmgl_tf.layers.linear import Linear
from mmgl_tf.losses.identification.centre_cluster import centre_cluster
from mmgl_tf.losses.identification.crossed_teacher import crossed_teacher_divergence, teacher_rate
from mmgl_tf.losses.identification.identity import identity_accuracy, identity_loss
from mmgl_tf.losses.identification.mask_separation import mask_separation
from mmgl_tf.pipelines.batches.recipe import Sampler, finetuning_recipe
from mmgl_tf.pipelines.records import MODALITIES


class MpaNet(FinetuningModel):
    """MPANet on a one-stream encoder.

        loss = 0.5 separation + centre + identity + 1.0 specific + 2.5 mutual

    separation: the masks of an image overlap little. centre: the centre-cluster loss on features before the
    neck, both modalities together. identity: cross-entropy of one classifier. specific: the sum of the
    cross-entropies of two more, of which each sees the images of its own modality. mutual: what they say is
    held against slowly following copies, each asked about the other modality's images.

    Within a step: the copies take over their share of the two classifiers as these are, then answer, then the
    optimiser moves the classifiers. The copies follow once a step, whatever `accumulate` and replicas. How
    much they take over depends on the epoch alone, which is known from the number of steps.

    Choice: the released code adds the specific cross-entropies twice, 0.5 each time; here once, with 1.0.

    A batch is a dict: `visible`, `infrared` float32 [B, H, W, 3] (normalised) and `labels` int32 [2B],
    classes from 0, visible images first.
    """

    STREAM = "one"
    EMBEDDER = PatternEmbedder

    def __init__(self, encoder, options, seed, plan, name="mpanet"):
        super().__init__(encoder, options, seed, plan, name)
        own = [f"{modality}_classifier" for modality in MODALITIES]
        for layer in ("classifier", *own, *(f"slow_{name}" for name in own)):
            # Of one place with its source, so that a copy starts with the same values.
            place = f"mpanet/{layer.removeprefix('slow_')}"
            setattr(self, layer, Linear(plan.num_identities, False, place, 3 * seed + 1, name=layer))

    @staticmethod
    def terms(options):
        """{term of the loss: its weight}."""
        return {
            "separation": options.mpanet_separation_weight,
            "centre": options.mpanet_centre_weight,
            "identity": 1.0,
            "specific": options.mpanet_specific_weight,
            "mutual": options.mpanet_mutual_weight,
        }

    @staticmethod
    def figures(options, plan):
        """See `FinetuningModel.figures`. Masks that know nothing overlap by a quarter of the map's cells."""
        del options
        classes = plan.num_identities
        chance = math.log(classes) if classes else HAS_NONE
        share = 1 / classes if classes else HAS_NONE
        quiet = {"chance": HAS_NONE, "summary": False}
        return (
            Figure("loss/separation", "overlap of patterns", HAS_NONE, short="separation"),
            Figure("loss/centre", "centre-cluster loss", HAS_NONE, short="centre"),
            Figure("loss/identity", "identity cross-entropy", chance, short="identity"),
            Figure(
                "loss/specific",
                "cross-entropies of the modalities' classifiers, summed",
                2 * chance if classes else HAS_NONE,
                short="specific",
            ),
            Figure("loss/mutual", "divergence from the other modality's teacher", 0.0, short="mutual"),
            Figure("accuracy/identity", "identity named right", share, "share", short="identity accuracy"),
            Figure("accuracy/specific", "identity named right by its modality's classifier", share, "share"),
            Figure("accuracy/centre", "own centre the nearest", HAS_NONE, "share"),
            Figure("distance/pull", "mean distance to the own centre", **quiet),
            Figure("distance/push", "hinge between centres", **quiet),
            Figure("teacher/rate", "share that the slow classifiers take over", **quiet),
            Figure("embedding/spread", "embedding: spread", **quiet),
        )

    @staticmethod
    def recipe(options):
        """Crop, flip and erasing; images without replacement, to exhaustion."""
        return finetuning_recipe(options, Sampler.TO_EXHAUSTION)

    @classmethod
    def make_embedder(cls, encoder, options, seed):
        """See `FinetuningModel.make_embedder`."""
        return cls.EMBEDDER(encoder, options.mpanet_patterns, options.mpanet_alleviation, seed=3 * seed)

    def build_from(self, height, width):
        """Makes every weight, for images of a size in pixels."""
        self.embedder.build_from(height, width)
        for layer in (self.classifier, *self._classifiers(), *self._classifiers("slow_")):
            layer.build((None, self.embedder.feature_sizes["neck"]))
        self.built = True

    def _classifiers(self, prefix=""):
        return [getattr(self, f"{prefix}{modality}_classifier") for modality in MODALITIES]

    @property
    def trained_variables(self):
        """All but the slow copies."""
        slow = {id(layer.kernel) for layer in self._classifiers("slow_")}
        return [variable for variable in self.trainable_variables if id(variable) not in slow]

    def outputs(self, batch):
        """Features before and after the neck, the overlap of each image's masks, and classes."""
        found = self.embedder.with_masks({name: batch[name] for name in MODALITIES}, training=True)
        return {
            "pool": found["pool"],
            "neck": found["neck"],
            "separation": mask_separation(found["masks"]),
            "labels": batch["labels"],
        }

    def teacher_rate(self):
        """What the copies take over in the step that is next, float32; epochs count from 1."""
        return teacher_rate(self.optimizer.iterations // self.plan.steps_per_epoch + 1)

    def joint(self, outputs):
        """All classifiers' logits, and the copies as this step leaves them.

        Returns:
            `outputs` without "neck", and {"logits" by the shared classifier, "specific" by that of the
            image's modality, "teacher" by the copy of the other modality's, float32 [2B, identities] each;
            "slow_visible", "slow_infrared" [D, identities], "rate"}.
        """
        features, rate = outputs["neck"], tf.cast(self.teacher_rate(), outputs["neck"].dtype)
        sides = tf.split(features, 2)
        moved = [
            tf.stop_gradient((1.0 - rate) * slow.kernel + rate * layer.kernel)
            for slow, layer in zip(self._classifiers("slow_"), self._classifiers(), strict=True)
        ]
        specific = [layer(side) for layer, side in zip(self._classifiers(), sides, strict=True)]
        teacher = [tf.matmul(side, kernel) for side, kernel in zip(sides, reversed(moved), strict=True)]
        return {name: value for name, value in outputs.items() if name != "neck"} | {
            "logits": self.classifier(features),
            "specific": tf.concat(specific, axis=0),
            "teacher": tf.stop_gradient(tf.concat(teacher, axis=0)),
            "rate": rate,
            **{f"slow_{m}": kernel for m, kernel in zip(MODALITIES, moved, strict=True)},
        }

    def losses(self, outputs, seed):
        """See the class."""
        del seed  # nothing is drawn
        labels, specific = outputs["labels"], outputs["specific"]
        centre, pull, push, right = centre_cluster(outputs["pool"], labels, self.options.mpanet_margin)
        visible = tf.shape(labels)[0] // 2
        halves = [(specific[:visible], labels[:visible]), (specific[visible:], labels[visible:])]
        terms = {
            "separation": tf.reduce_mean(outputs["separation"]),
            "centre": centre,
            "identity": identity_loss(outputs["logits"], labels),
            "specific": tf.add_n([identity_loss(*half) for half in halves]),
            "mutual": crossed_teacher_divergence(specific, outputs["teacher"]),
        }
        measures = {
            "accuracy/identity": identity_accuracy(outputs["logits"], labels),
            "accuracy/specific": identity_accuracy(specific, labels),
            "accuracy/centre": right,
            "distance/pull": pull,
            "distance/push": push,
            "teacher/rate": outputs["rate"],
            "embedding/spread": angular_spread(outputs["pool"]),
        }
        return terms, measures

    def after_update(self, outputs, step):
        """The copies are what they were when they answered."""
        del step
        return [
            (layer.kernel, outputs[f"slow_{modality}"])
            for modality, layer in zip(MODALITIES, self._classifiers("slow_"), strict=True)
        ]
