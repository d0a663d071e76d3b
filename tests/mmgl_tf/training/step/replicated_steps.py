"""A few steps of `fit` on replicas of this process, for a test to compare; run as a program.

    python -m tests.mmgl_tf.training.step.replicated_steps OUT METHOD STRATEGY REPLICAS [option ...]

METHOD: mmgl, agw or two_stream. STRATEGY and REPLICAS: of this process; with multi_worker, TF_CONFIG as
usual. Options: unsynchronised, accumulate=N, clipped, float16, scaled=X (a loss scale, X at the start),
steps=N. It writes figures, state, the weights at the start, moving statistics of each replica and the number
of messages of a step to OUT, a .npz.

Everything is float64, unless float16 is asked for: in float32 these steps end a thousandth of their way apart
wherever sums are taken in another order, on some processors.
"""

import sys

import keras
import numpy as np
import tensorflow as tf

from benchmarks.messages import Messages
from mmgl_tf.backbones import Encoder
from mmgl_tf.finetuning import FINETUNING
from mmgl_tf.flags.config import options_type
from mmgl_tf.layers.normalization.batch_norm import synchronise
from mmgl_tf.machines.distribution import Distribution
from mmgl_tf.optimizers.torch_sgd import TorchSGD
from mmgl_tf.pipelines.batches.numbered_batches import sharded_batches
from mmgl_tf.pipelines.batches.shards import Shards
from mmgl_tf.pretraining import PRETRAINING
from mmgl_tf.training.checkpoints import collect
from mmgl_tf.training.plan import TrainingPlan
from mmgl_tf.training.step.shared_statistics import SharedStatistics
from tests.float64 import compute_in_float64

IMAGES, PEOPLE, STRIPES = 8, 4, 6
HEIGHT, WIDTH = 96, 32


def global_batch(step, method):
    """The batch of a step: dict of NumPy arrays."""
    dice = np.random.default_rng(step)
    shape = (IMAGES, HEIGHT, WIDTH, 3)
    batch = {name: dice.standard_normal(shape).astype(np.float32) for name in ("visible", "infrared")}
    if method == "mmgl":
        order = [dice.permutation(STRIPES) for _ in range(2 * IMAGES)]
        return batch | {"permutation": np.stack(order).astype(np.int32)}
    labels = np.repeat(np.arange(PEOPLE, dtype=np.int32), IMAGES // PEOPLE)
    return batch | {"labels": np.concatenate([labels, labels])}


def make_model(method, options):
    """Compiled and built, in the scope of its strategy."""
    if method == "mmgl":
        small = options_type("mmgl")(part_embedding_size=8, gumbel_samples=2, sinkhorn_iters=5)
        model = PRETRAINING["mmgl"](Encoder("resnet10", stream="two", seed=1), small, 2, TrainingPlan())
    else:
        kind = FINETUNING[method]
        model = kind(
            Encoder("resnet10", kind.STREAM, seed=1),
            options_type(method)(),
            2,
            TrainingPlan(num_identities=PEOPLE),
        )
    model.build_from(HEIGHT, WIDTH)
    optimizer = TorchSGD(
        0.01,
        global_clipnorm=0.5 if "clipped" in options else None,
        dynamic_loss_scale="float16" in options or "scaled" in options,
    )
    if "unsynchronised" not in options:
        synchronise(model)
    model.accumulate = int(options.get("accumulate", 1))
    model.compile(optimizer=optimizer, jit_compile=False, auto_scale_loss=False)
    model.optimizer.build(model.trainable_variables)
    return model


def dataset(method, distribution, steps):
    """This process's parts of the global batches, by the pipelines' own rule."""
    example = global_batch(0, method)
    each = IMAGES // distribution.total
    spec = {
        name: tf.TensorSpec([len(value) // IMAGES * each, *value.shape[1:]], value.dtype)
        for name, value in example.items()
    }

    def part(step, rows):
        batch = global_batch(int(step), method)
        cut = {}
        for name, value in batch.items():
            halves = value.reshape(len(value) // IMAGES, IMAGES, *value.shape[1:])[:, rows]
            cut[name] = halves.reshape(-1, *value.shape[1:])
        return cut

    shards = Shards(distribution.first, distribution.local, distribution.total)
    return sharded_batches(part, spec, 0, steps, IMAGES, shards)


def replica_statistics(model, strategy):
    """A moving mean on each replica of this process, before and after they share the first's: [2, R, C]."""
    variable = model.encoder.weights[
        [w.path.endswith("moving_mean") for w in model.encoder.weights].index(True)
    ]

    def on_each():
        return np.stack([part.numpy() for part in strategy.experimental_local_results(variable.value)])

    before = on_each()
    SharedStatistics(model, strategy).on_test_begin()
    return np.stack([before, on_each()])


def collectives(train_function, data):
    """How many all-reduces between workers the graph of a step of `fit` has, its input included."""
    graph = train_function.get_concrete_function(iter(data)).graph.as_graph_def()
    nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
    return sum(node.op.startswith("CollectiveReduce") for node in nodes)


class Figures(keras.callbacks.Callback):
    """Keeps the figures after each step, as `fit` gives them to its callbacks."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def on_train_batch_end(self, batch, logs=None):
        self.seen.append({name: float(value) for name, value in logs.items()})


def main(out, method, strategy, replicas, *words):
    """See the head of this file."""
    options = dict(word.split("=") if "=" in word else (word, True) for word in words)
    if int(replicas) > 1:
        (cpu,) = tf.config.list_physical_devices("CPU")
        parts = [tf.config.LogicalDeviceConfiguration()] * int(replicas)
        tf.config.set_logical_device_configuration(cpu, parts)
    distribution = Distribution(strategy)
    tf.config.experimental.enable_op_determinism()
    keras.utils.set_random_seed(0)
    if "float16" in options:
        keras.config.set_dtype_policy("mixed_float16")
    else:
        compute_in_float64()
    with distribution.scope():
        model = make_model(method, options)
    if "scaled" in options:
        model.optimizer.loss_scale.scale.assign(float(options["scaled"]))
    figures, steps = Figures(), int(options.get("steps", 3))
    start = {f"start/{weight.path}": np.asarray(weight) for weight in model.trainable_variables}
    data, asked = distribution.dataset(lambda: dataset(method, distribution, steps)), Messages()
    with asked.counted():
        model.fit(data, epochs=1, steps_per_epoch=steps, callbacks=[figures], verbose=0, shuffle=False)
    rows = {f"figure/{name}": [row[name] for row in figures.seen] for name in figures.seen[0]}
    state = collect(model)
    told = {}
    if distribution.total > 1:
        told["replica_statistics"] = replica_statistics(model, distribution.strategy)
    if distribution.workers > 1:
        told["messages"] = [asked.summary()[0], collectives(model.train_function, data)]
    np.savez(out, **state, **rows, **start, **told)


if __name__ == "__main__":
    main(*sys.argv[1:])
