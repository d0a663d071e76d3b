"""One case of `benchmarks.scaling` in a process of its own, as devices are made once in a process.

It reads lines "VARIANT STEPS" and answers each with a line of JSON behind `MARK`; it ends with its input. A
variant says how batch norm takes its statistics (of all replicas or of each one's own) and whether messages
are sent ("live") or left out ("silent", where every replica takes its own values for everybody's: the same
work but for the messages, and nonsense as a training; the learning rate is 0).
"""

import argparse
import contextlib
import json
import sys
import time

import tensorflow as tf

from benchmarks.messages import Messages
from benchmarks.recipe import add_recipe_flags, recipe
from benchmarks.train_step import drawn_batch
from mmgl_tf.layers.normalization.batch_norm import FusedBatchNorm
from mmgl_tf.machines.distribution import Distribution
from mmgl_tf.modes.model import build_model, prepare
from mmgl_tf.pipelines.batches.shards import Shards
from mmgl_tf.pipelines.records import MODALITIES
from mmgl_tf.training.plan import TrainingPlan

MARK = "scaling case: "
ALONE = ("alone",)
REPLICATED = ("synchronised live", "synchronised silent", "own live", "own silent")


def take_devices(replicas, first):
    """GPUs where there are any, else virtual devices on the processor; before TensorFlow starts.

    Args:
        replicas: of this process.
        first: number of its first GPU.
    """
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        mine = gpus[first : first + replicas]
        tf.config.set_visible_devices(mine, "GPU")
        for gpu in mine:
            tf.config.experimental.set_memory_growth(gpu, True)  # other cases are on it, too
    elif replicas > 1:
        (processor,) = tf.config.list_physical_devices("CPU")
        parts = [tf.config.LogicalDeviceConfiguration()] * replicas
        tf.config.set_logical_device_configuration(processor, parts)


def part_of(batch, shards, local):
    """The rows of a global batch that a replica of this process has, as tensors."""
    _, rows = shards.part(local, len(batch["visible"]))
    part = {name: tf.constant(batch[name][rows]) for name in MODALITIES}
    halves = batch["permutation"].reshape(2, len(batch["visible"]), -1)[:, rows]
    return part | {"permutation": tf.constant(halves.reshape(2 * len(rows), -1))}


def make_steps(model, distribution, batch):
    """Traces every variant on a batch held in memory.

    Args:
        model: built in the scope of the distribution.
        distribution: `Distribution`.
        batch: as of `drawn_batch`, the global one.

    Returns:
        ({variant: function that takes a step and returns the loss}, {variant: `Messages`}).
    """
    strategy, total = distribution.strategy, distribution.total
    if strategy is None:
        inputs = part_of(batch, Shards(), 0)
    else:
        shards = Shards(distribution.first, distribution.local, total)
        inputs = strategy.experimental_distribute_values_from_function(
            lambda context: part_of(batch, shards, context.replica_id_in_sync_group - distribution.first)
        )

    def make():
        @tf.function(autograph=False)
        def step(inputs):
            if strategy is None:
                return model.train_step(inputs)["loss/total"]
            losses = strategy.run(model.train_step, args=(inputs,))["loss/total"]
            return strategy.experimental_local_results(losses)[0]

        return lambda: float(step(inputs))

    norms = [layer for layer in model._flatten_layers() if isinstance(layer, FusedBatchNorm)]
    steps, counts = {}, {}
    for variant in ALONE if total == 1 else REPLICATED:
        for layer in norms:
            layer.synchronised = variant.startswith("synchronised")
        steps[variant], counts[variant] = make(), Messages()
        with counts[variant].counted(silent=variant.endswith("silent")):
            steps[variant]()  # traced here
    return steps, counts


def answer(**values):
    """Tells the parent."""
    print(MARK + json.dumps(values), flush=True)


def main():
    """See the head of this file."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    add_recipe_flags(parser, "demo")
    parser.add_argument("--strategy", required=True, choices=("none", "mirrored", "multi_worker"))
    parser.add_argument("--replicas", type=int, default=1, help="of this process")
    parser.add_argument("--first_gpu", type=int, default=0)
    arguments = parser.parse_args()
    take_devices(arguments.replicas, arguments.first_gpu)
    distribution = Distribution(arguments.strategy)
    config = recipe(arguments, learning_rate=0.0, jit_compile="off")
    prepare(config)
    with distribution.scope():
        model = build_model(config, TrainingPlan(100))
    batch = drawn_batch(arguments.batch, config.data.image_height, config.data.image_width)
    steps, counts = make_steps(model, distribution, batch)
    # The replicas of a process are traced one after the other, each with the same messages.
    messages = {}
    for variant, found in counts.items():
        kinds = ("gradients", "rows", "statistics", None)
        own = {what or "all": found.summary(what) for what in kinds}
        messages[variant] = {
            what: [number // distribution.local for number in pair] for what, pair in own.items()
        }
    answer(replicas=distribution.total, gpus=distribution.gpus, messages=messages)

    with contextlib.suppress(BrokenPipeError):
        for line in sys.stdin:
            variant, number = line.strip().rsplit(" ", 1)
            seconds = []
            steps[variant]()  # not counted: it brings weights and batch back into the caches
            used = time.process_time()
            for _ in range(int(number)):
                start = time.perf_counter()
                loss = steps[variant]()
                seconds.append(time.perf_counter() - start)
            answer(seconds=seconds, processor=(time.process_time() - used) / int(number), loss=loss)


if __name__ == "__main__":
    main()
