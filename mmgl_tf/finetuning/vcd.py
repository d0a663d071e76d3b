"""VCD, "MutualInfo" in MMGL's tables: representations that keep what tells identities (Tian et al., 2021)."""

import math

import tensorflow as tf

from mmgl_tf.figures import HAS_NONE, Figure
from mmgl_tf.finetuning.base import FinetuningModel
from mmgl_tf.finetuning.observing_embedder import ENCODERS, OBSERVATIONS, ObservingEmbedder
from mmgl_tf.finetuning.triplet_model import angular_spread
from mmgl_tf.layers.heads.bottleneck_classifier import BottleneckClassifier
from mmgl_tf.layers.heads.information_bottleneck import InformationBottleneck
from mmgl_tf.layers.normal_linear import NormalLinear
from mmgl_tf.layers.seeded_uniform import seed_of
from mmgl_tf.losses.identification.identity import identity_accuracy
from mmgl_tf.losses.identification.label_smoothing import smoothed_identity_loss
from mmgl_tf.losses.identification.ranked_list import ranked_list
from mmgl_tf.losses.identification.sinkhorn_distance import sinkhorn_distance
from mmgl_tf.losses.identification.variational_distillation import variational_distillation
from mmgl_tf.pipelines.batches.recipe import Sampler, finetuning_recipe
from mmgl_tf.pipelines.records import INFRARED, MODALITIES, VISIBLE

# What an observation and its representation weigh in cross-entropy and rank loss.
WEIGHTS = {"infrared": 0.5, "shared_grey": 0.25, "visible": 0.5, "shared": 0.25}


class Vcd(FinetuningModel):
    """Variational cross-distillation on three one-stream encoders.

        loss = identity + rank + 8 consistency + 2 self + 2 cross

    Each of four observations goes through the bottleneck of its encoder: its representation. identity and
    rank are sums over all eight, by `WEIGHTS`. consistency is the transport distance between what the
    infrared and the visible encoder say of the batch. self holds the representation against its own
    observation, of those two encoders; cross, of the shared one, against that of the other rendering.

    The shared encoder and its bottleneck run twice a step, grey first: each run has its own batch statistics,
    and moves the moving ones. Bottlenecks and classifiers act on the gathered batch (`joint`).

    Choice: the biases of three linear layers of a bottleneck and its classifier stand before a batch norm,
    which takes them away again, and their gradient is rounding. Adam would turn it into steps of the full
    rate, so they are not trained: the function is the same.

    A batch is a dict: `visible`, `infrared` float32 [B, H, W, 3] (normalised) and `labels` int32 [2B],
    classes from 0, visible images first.
    """

    STREAM = "one"
    EMBEDDER = ObservingEmbedder
    SLOW = ("encoder/", "encoder_infrared/", "encoder_visible/")

    def __init__(self, encoder, options, seed, plan, name="vcd"):
        super().__init__(encoder, options, seed, plan, name)
        classes = plan.num_identities
        for whose in ENCODERS:
            for kind, what, sizes in (
                (NormalLinear, "classifier", (classes, 0.001)),
                (InformationBottleneck, "bottleneck", (options.vcd_representation_size,)),
                (BottleneckClassifier, "represented_classifier", (classes,)),
            ):
                own = f"{what}_{whose}"
                setattr(self, own, kind(*sizes, place=f"vcd/{own}", seed=3 * seed + 1, name=own))

    @staticmethod
    def terms(options):
        """{term of the loss: its weight}."""
        return {
            "identity": 1.0,
            "rank": options.vcd_rank_weight,
            "consistency": options.vcd_consistency_weight,
            "self": options.vcd_self_weight,
            "cross": options.vcd_cross_weight,
        }

    @staticmethod
    def figures(options, plan):
        """See `FinetuningModel.figures`. The released distillation is negative, ever nearer to 0."""
        classes = plan.num_identities
        flat = 0.0
        if classes and options.vcd_distillation == "released":
            flat = -(math.log(classes) + 1 / classes) / classes
        known = {"chance": 1 / classes if classes else HAS_NONE, "axis": "share"}
        return (
            Figure(
                "loss/identity",
                "identity cross-entropies, summed by weight",
                2 * sum(WEIGHTS.values()) * math.log(classes) if classes else HAS_NONE,
                short="identity",
            ),
            Figure("loss/rank", "ranked-list losses, summed by weight", HAS_NONE, short="rank"),
            Figure("loss/consistency", "transport between encoders' identities", 0.0, short="consistency"),
            Figure("loss/self", "self-distillation", 2 * flat, "free", short="self"),
            Figure("loss/cross", "cross-distillation", flat, "free", short="cross"),
            Figure(
                "accuracy/identity",
                "identity named right by observations",
                **known,
                short="identity accuracy",
            ),
            Figure("accuracy/represented", "identity named right by representations", **known),
            Figure("accuracy/rank", "farthest positive nearer than nearest negative", HAS_NONE, "share"),
            Figure("transport/iterations", "Sinkhorn iterations", HAS_NONE, summary=False),
            Figure("embedding/spread", "embedding: spread", HAS_NONE, summary=False),
        )

    @staticmethod
    def recipe(options):
        """Flips alone, as its presets have it; each person once in an epoch."""
        return finetuning_recipe(options, Sampler.ONCE_EACH)

    def build_from(self, height, width):
        """Makes every weight, for images of a size in pixels."""
        self.embedder.build_from(height, width)
        for whose in ENCODERS:
            getattr(self, f"classifier_{whose}").build((None, self.encoder.num_features))
            getattr(self, f"bottleneck_{whose}").build((None, self.encoder.num_features))
            size = self.options.vcd_representation_size
            getattr(self, f"represented_classifier_{whose}").build((None, size))
        self.built = True

    @property
    def trained_variables(self):
        """All but the biases that batch norm takes away; see the class."""
        cancelled = set()
        for whose in ENCODERS:
            bottleneck = getattr(self, f"bottleneck_{whose}")
            classifier = getattr(self, f"represented_classifier_{whose}")
            layers = (bottleneck.linear1, bottleneck.linear2, classifier.linear1)
            cancelled |= {id(layer.bias) for layer in layers}
        return [variable for variable in self.trainable_variables if id(variable) not in cancelled]

    def outputs(self, batch):
        """The four observations, behind their necks, and classes: {name: float32 [2b, C]}, "labels"."""
        found = self.embedder.observe({name: batch[name] for name in MODALITIES}, training=True)
        return {name: each["neck"] for name, each in found.items()} | {"labels": batch["labels"]}

    def joint(self, outputs):
        """Logits of the observations, representations and their logits.

        Returns:
            `outputs` with {"NAME_logits" [2B, identities], "NAME_represented" [2B, Z],
            "NAME_represented_logits" [2B, identities]} for each of `OBSERVATIONS`, float32.
        """
        found, seed = dict(outputs), self.step_seed()
        for number, (name, (whose, _)) in enumerate(OBSERVATIONS.items()):
            represented = getattr(self, f"bottleneck_{whose}")(outputs[name], training=True)
            classify = getattr(self, f"represented_classifier_{whose}")
            found[f"{name}_logits"] = getattr(self, f"classifier_{whose}")(outputs[name])
            found[f"{name}_represented"] = represented
            found[f"{name}_represented_logits"] = classify(
                represented, training=True, seed=seed_of(seed, number)
            )
        return found

    def losses(self, outputs, seed):
        """See the class."""
        del seed  # what is drawn is drawn by `joint`
        labels, options = outputs["labels"], self.options
        number = tf.shape(labels)[0]
        modalities = tf.where(tf.range(number) < number // 2, VISIBLE, INFRARED)
        identity = rank = 0.0
        for name, weight in WEIGHTS.items():
            for feature in (name, f"{name}_represented"):
                logits = outputs[f"{feature}_logits"]
                identity += weight * smoothed_identity_loss(logits, labels, options.vcd_smoothing)
                rank += weight * ranked_list(outputs[feature], labels, modalities)[0]
        transport, iterations = sinkhorn_distance(
            tf.nn.softmax(outputs["infrared_logits"]), tf.nn.softmax(outputs["visible_logits"])
        )
        terms = {
            "identity": identity,
            "rank": rank,
            "consistency": transport,
            "self": self._distilled(outputs, "infrared", "infrared")
            + self._distilled(outputs, "visible", "visible"),
            "cross": 0.5 * self._distilled(outputs, "shared", "shared_grey")
            + 0.5 * self._distilled(outputs, "shared_grey", "shared"),
        }
        joined = tf.concat([outputs[name] for name in OBSERVATIONS], axis=1)
        measures = {
            "accuracy/identity": _mean_accuracy(outputs, "logits", labels),
            "accuracy/represented": _mean_accuracy(outputs, "represented_logits", labels),
            "accuracy/rank": ranked_list(joined, labels, modalities)[1],
            "transport/iterations": tf.cast(iterations, transport.dtype),
            "embedding/spread": angular_spread(joined),
        }
        return terms, measures

    def _distilled(self, outputs, teacher, student):
        """How far a representation's identities are from an observation's, by --vcd_distillation."""
        observed, represented = outputs[f"{teacher}_logits"], outputs[f"{student}_represented_logits"]
        return variational_distillation(observed, represented, self.options.vcd_distillation)


def _mean_accuracy(outputs, kind, labels):
    """Share of images named right, float32 scalar, the mean over the four."""
    return tf.reduce_mean([identity_accuracy(outputs[f"{name}_{kind}"], labels) for name in OBSERVATIONS])
