"""The same steps on one device and on two virtual ones, in float64, for a test to compare; run as a program.

    python -m tests.contracts.two_replicas METHOD OUT

The parts of a batch come from the pipeline, as two replicas of a process get them. It writes the state at the
start, after the steps on one device, and after those on two as each of them has it, to OUT, a .npz:
{"start/name", "one/name", "two/DEVICE/name": array}, and figures: {"one/figure/name", "two/figure/name"}.
"""

import sys

import numpy as np
import tensorflow as tf

from mmgl_tf.modes.model import build_model, prepare
from mmgl_tf.pipelines.batches.shards import WHOLE, Shards
from mmgl_tf.training.checkpoints import collect
from tests.contracts.cases import case, in_double
from tests.float64 import compute_in_float64

DEVICES, STEPS = 2, 2


def parts(of, step, shards):
    """What each replica gets of a step's batch."""
    return [in_double(batch) for batch in of.material.batches(step, 1, None, shards)]


def results(figures):
    return {f"figure/{name}": float(value) for name, value in figures.items()}


def main(method, out):
    """See the head of this file."""
    (cpu,) = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * DEVICES)
    of = case(method)
    prepare(of.config)
    compute_in_float64()
    strategy = tf.distribute.MirroredStrategy([f"CPU:{device}" for device in range(DEVICES)])
    one = build_model(of.config, of.material.plan)
    with strategy.scope():
        two = build_model(of.config, of.material.plan)
    found = {f"start/{name}": value for name, value in collect(one).items()}
    for step in range(STEPS):
        (whole,) = parts(of, step, WHOLE)
        told = results(one.train_step(whole))
        cut = parts(of, step, Shards(0, DEVICES, DEVICES))

        @tf.function(autograph=False)
        def on_each(batch):
            return strategy.run(two.train_step, args=(batch,))

        shown = on_each(
            strategy.experimental_distribute_values_from_function(
                lambda context, cut=cut: cut[context.replica_id_in_sync_group]
            )
        )
        first = {name: strategy.experimental_local_results(value)[0] for name, value in shown.items()}
        for name, value in told.items():
            found[f"one/{name}/{step}"] = value
        for name, value in results(first).items():
            found[f"two/{name}/{step}"] = value
    found |= {f"one/{name}": value for name, value in collect(one).items()}
    for variable in two.weights:
        own = strategy.experimental_local_results(variable.value)
        found |= {f"two/{device}/weight/{variable.path}": part.numpy() for device, part in enumerate(own)}
    np.savez(out, **found)


if __name__ == "__main__":
    main(*sys.argv[1:])
