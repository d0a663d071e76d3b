"""DDAG: weighted parts of an image, and a graph among the images of a batch (Ye et al., 2020; spec 4.4)."""

import tensorflow as tf

from mmgl_tf.figures import HAS_NONE, Figure
from mmgl_tf.finetuning.batch_hard import batch_hard
from mmgl_tf.finetuning.figures import chance_of_identity, triplet_figures
from mmgl_tf.finetuning.part_embedder import PartEmbedder
from mmgl_tf.finetuning.triplet_model import TripletModel
from mmgl_tf.layers.attention.graph_branch import GraphBranch
from mmgl_tf.layers.full_precision import full_precision
from mmgl_tf.losses.identification.graph_identity import dynamic_weight, graph_identity_loss
from mmgl_tf.losses.identification.identity import identity_accuracy, identity_loss


class Ddag(TripletModel):
    """Two streams, weighted parts, and graph attention in training.

        L_P   = CE(C neck) + triplet(pool) + CE(C attention),   C one classifier for both
        total = L_P + w L_G,   L_G of the graph among the batch's images, made of `pool`
        w     = 0 in the first epoch, then 1 / (1 + mean of L_P over the epoch before)

    The graph acts on the gathered batch, and its gradient goes into the trunk. At the end of training it has
    done its work: no feature needs it.
    """

    EMBEDDER = PartEmbedder

    def __init__(self, encoder, options, seed, plan, name="ddag"):
        super().__init__(encoder, options, seed, plan, name)
        self.graph = GraphBranch(
            plan.num_identities,
            heads=options.ddag_heads,
            units=options.ddag_head_size,
            rate=options.ddag_dropout,
            seed=3 * seed + 2,
            name="graph",
        )
        # A weight of the model, so that a resumed run goes on with it. Its other half, the mean of the
        # epoch's L_P so far, are the running means of the terms, which a checkpoint has as well.
        self.graph_weight = self.add_weight(
            name="graph_weight", shape=(), initializer="zeros", trainable=False, dtype=full_precision()
        )

    @staticmethod
    def figures(options, plan):
        """Those of the triplet methods; cross-entropies of parts and graph, and the graph's weight."""
        chance, share = chance_of_identity(plan)
        return (
            *triplet_figures(options, plan),
            Figure("loss/parts", "identity cross-entropy of the parts", chance, short="parts"),
            Figure("loss/graph", "identity cross-entropy of the graph", chance, short="graph"),
            Figure("accuracy/parts", "identity named right by the parts", share, "share"),
            Figure("weight/graph", "weight of the graph's loss", HAS_NONE),
        )

    @staticmethod
    def terms(options):
        """{term: weight}; see `term_weight` for the graph's."""
        return TripletModel.terms(options) | {"parts": 1.0, "graph": 1.0}

    def term_weight(self, term, step):
        """The graph's weight changes from epoch to epoch; the others' stand."""
        if term == "graph":
            return tf.convert_to_tensor(self.graph_weight)
        return super().term_weight(term, step)

    @classmethod
    def make_embedder(cls, encoder, options, seed):
        """With the parts; see `FinetuningModel.make_embedder`."""
        return cls.EMBEDDER(encoder, options.ddag_parts, options.ddag_residual, seed=3 * seed)

    def build_from(self, height, width):
        """Makes every weight, for images of a size in pixels."""
        self.graph.build((None, self.encoder.num_features))
        super().build_from(height, width)

    def without_gradient(self):
        """Biases that the parts' softmax and neck take away again, see `PartAggregation`."""
        return ("parts/key/bias", "parts/value/bias")

    def metric_loss(self, features, labels):
        """Batch-hard triplet loss; see `TripletModel.metric_loss`."""
        return batch_hard(features, labels, self.options)

    def call(self, images, training=False):
        """As `TripletModel.call`, and "part_logits" [n, identities], by the same classifier."""
        found = super().call(images, training)
        return found | {"part_logits": self.classifier(found["attention"])}

    def outputs(self, batch):
        """Pooled features, logits of both kinds and classes."""
        found = self(self.images_of(batch), training=True)
        kept = {name: found[name] for name in ("pool", "logits", "part_logits")}
        return kept | {"labels": batch["labels"]}

    def joint(self, outputs):
        """The graph's log-probabilities of identities, float32 [n, identities]."""
        graph = self.graph(outputs["pool"], outputs["labels"], training=True, seed=self.step_seed())
        return outputs | {"graph": graph}

    def losses(self, outputs, seed):
        """The terms of the class, each by itself."""
        labels = outputs["labels"]
        terms, measures = super().losses(outputs, seed)
        terms |= {
            "parts": identity_loss(outputs["part_logits"], labels),
            "graph": graph_identity_loss(outputs["graph"], labels),
        }
        measures |= {
            "accuracy/parts": identity_accuracy(outputs["part_logits"], labels),
            "weight/graph": tf.convert_to_tensor(self.graph_weight),
        }
        return terms, measures

    def after_epoch(self):
        """Sets the weight of the next epoch: by the mean of L_P over the steps of this one."""
        weights = {term: weight for term, weight in self.term_weights.items() if term != "graph"}
        sums = {term: self.train_means[f"loss/{term}"].sums() for term in weights}
        part_loss = sum(weight * sums[term][0] / sums[term][1] for term, weight in weights.items())
        self.graph_weight.assign(dynamic_weight(part_loss))
