"""A tiny method with all that a step may move beside trained weights, for tests.

A trunk of one layer on vectors of 5 numbers; on the gathered batch a dense layer and batch norm with
weights; a momentum copy of the trunk; a queue of its features, read by the loss; a weight of the loss that
each epoch sets from the epoch's own mean; prototypes that stand still in the first steps. No batch norm in
the trunk: parts and replicas must take the very steps of the whole.
"""

import keras
import numpy as np
import tensorflow as tf

from mmgl_tf.layers.normalization.batch_norm import FusedBatchNorm, synchronise
from mmgl_tf.optimizers import OPTIMIZERS
from mmgl_tf.training.step.model import TrainingModel
from mmgl_tf.training.step.momentum import MomentumCopy, cosine_momentum
from mmgl_tf.training.step.running_mean import RunningMean

IMAGES, SIZE, FEATURES, PROTOTYPES, STEPS = 4, 5, 3, 2, 6
QUEUE = 3 * IMAGES  # the visible rows of the last three steps


class Stateful(TrainingModel):
    """See the head of this file."""

    def __init__(self):
        def dense(units, name, **settings):
            initializer = keras.initializers.RandomNormal(stddev=0.5, seed=len(name))
            return keras.layers.Dense(units, kernel_initializer=initializer, name=name, **settings)

        super().__init__(
            dense(FEATURES, "encoder"), 3, {"pull": 1.0, "queue": 0.5, "own": 1.0}, [], "stateful"
        )
        self.target = dense(FEATURES, "target")
        self.graph = dense(FEATURES, "graph", use_bias=False)
        self.graph_norm = FusedBatchNorm(name="graph_norm")
        self.prototypes = dense(PROTOTYPES, "prototypes", use_bias=False)
        self.validation_means = {"seen": RunningMean("validation_seen")}
        for layer, size in ((self.encoder, SIZE), (self.target, SIZE), (self.graph, FEATURES)):
            layer.build((None, size))
        self.graph_norm.build((None, FEATURES))
        self.prototypes.build((None, FEATURES))
        self.queue = self.add_weight(
            name="queue", shape=(QUEUE, FEATURES), initializer="zeros", trainable=False
        )
        self.filled = self.add_weight(
            name="filled", shape=(), initializer="zeros", dtype="int32", trainable=False
        )
        self.balance = self.add_weight(name="balance", shape=(), initializer="ones", trainable=False)
        self.copy = MomentumCopy([(self.encoder, self.target)])
        self.copy.start()
        self.built = True

    @property
    def trained_variables(self):
        followers = {id(variable) for variable in self.copy.variables}
        return [variable for variable in self.trainable_variables if id(variable) not in followers]

    def outputs(self, batch):
        images = tf.concat([batch["visible"], batch["infrared"]], axis=0)
        rows, target = tf.tanh(self.encoder(images)), tf.stop_gradient(tf.tanh(self.target(images)))
        own = tf.reduce_mean(tf.square(rows[: tf.shape(batch["visible"])[0]] - 0.3), axis=1)
        return {"own": own, "rows": rows, "target": target, "labels": batch["labels"]}

    def joint(self, outputs):
        nodes = self.graph_norm(self.graph(outputs["rows"]), training=True)
        return outputs | {"graph": nodes, "scores": self.prototypes(nodes)}

    def losses(self, outputs, seed):
        del seed
        weights = 1.0 + tf.cast(outputs["labels"], outputs["rows"].dtype)[:, None]
        pull = tf.reduce_mean(weights * tf.square(outputs["graph"] - outputs["target"]))
        near = tf.reduce_mean(tf.exp(outputs["rows"] @ tf.transpose(self.queue)))
        scores = tf.reduce_mean(tf.square(outputs["scores"] - 1.0))
        terms = {"pull": pull + scores, "queue": near * self.balance, "own": tf.reduce_mean(outputs["own"])}
        return terms, {}

    def after_update(self, outputs, step):
        images = tf.shape(outputs["own"])[0]
        newest = outputs["target"][:images]
        queue = tf.concat([newest, self.queue], axis=0)[:QUEUE]
        filled = tf.minimum(self.filled + images, QUEUE)
        return [
            (self.queue, queue),
            (self.filled, filled),
            *self.copy.moves(cosine_momentum(step, 2 * STEPS, 0.6)),
        ]

    def after_epoch(self):
        self.balance.assign(self.balance * 0.5 + self.train_means["loss/pull"].result())

    def rate_factors(self, step):
        return {"prototypes/": tf.cast(step >= 2, tf.float32)}

    def test_step(self, batch):
        """What validation sees of the state."""
        self.validation_means["seen"].update_state(tf.convert_to_tensor(self.balance))
        return {"seen": self.validation_means["seen"].result()}

    def saved_layers(self):
        return {}


def stateful(accumulate=1, scaled=False, decay=0.01, kind=Stateful):
    """Compiled; in the scope of its strategy."""
    model = kind()
    synchronise(model)
    model.accumulate = accumulate
    optimizer = OPTIMIZERS["sgd"](0.2, weight_decay=decay, dynamic_loss_scale=scaled)
    model.compile(optimizer=optimizer, jit_compile=False, auto_scale_loss=False)
    model.optimizer.build(model.trained_variables)
    return model


def global_batch(step):
    """The batch of a step: dict of NumPy arrays."""
    dice = np.random.default_rng(step)
    batch = {
        name: dice.standard_normal((IMAGES, SIZE)).astype(np.float32) for name in ("visible", "infrared")
    }
    return batch | {"labels": dice.integers(0, 3, 2 * IMAGES).astype(np.int32)}


def replica_batch(step, replica, replicas):
    """A replica's rows of it."""
    rows = slice(replica * IMAGES // replicas, (replica + 1) * IMAGES // replicas)
    cut = {}
    for name, value in global_batch(step).items():
        halves = value.reshape(len(value) // IMAGES, IMAGES, *value.shape[1:])[:, rows]
        cut[name] = halves.reshape(-1, *value.shape[1:])
    return cut
