"""Steps of the stateful method on two virtual devices of this process, for a test; run as a program.

    python -m tests.mmgl_tf.training.step.stateful_steps OUT

It writes, for each case, the state after the steps as each device has it: {"case/device/name": array}.
"""

import sys

import numpy as np
import tensorflow as tf

from tests.float64 import compute_in_float64
from tests.mmgl_tf.training.step.stateful_method import STEPS, replica_batch, stateful

DEVICES = 2
# case -> (options of `stateful`, loss scale at the start)
CASES = {
    "two devices": ({}, None),
    "two devices in parts": ({"accumulate": 2}, None),
    "skipped on two devices": ({"scaled": True}, float("inf")),
}


def main(out):
    """See the head of this file."""
    (cpu,) = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * DEVICES)
    strategy = tf.distribute.MirroredStrategy([f"CPU:{device}" for device in range(DEVICES)])
    compute_in_float64()
    found = {}
    for case, (options, scale) in CASES.items():
        with strategy.scope():
            model = stateful(**options)
            if scale is not None:
                model.optimizer.loss_scale.scale.assign(scale)

        @tf.function(autograph=False)
        def step(batch, model=model):
            return strategy.run(model.train_step, args=(batch,))

        for number in range(STEPS if scale is None else 1):
            batches = [replica_batch(number, device, DEVICES) for device in range(DEVICES)]
            step(
                strategy.experimental_distribute_values_from_function(
                    lambda context, batches=batches: {
                        name: tf.constant(value)
                        for name, value in batches[context.replica_id_in_sync_group].items()
                    }
                )
            )
        for variable in model.weights:
            parts = strategy.experimental_local_results(variable.value)
            found |= {f"{case}/{device}/{variable.path}": part.numpy() for device, part in enumerate(parts)}
    np.savez(out, **found)


if __name__ == "__main__":
    main(*sys.argv[1:])
