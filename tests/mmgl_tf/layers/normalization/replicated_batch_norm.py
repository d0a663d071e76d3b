"""Runs batch norm on virtual CPU replicas and writes what came out, for `test_global_batch_norm.py`.

Devices can only be split before TensorFlow starts, and two strategies of different size in one process share
the keys of their groups and fail, hence a process for each number of replicas:

    python tests/mmgl_tf/layers/normalization/replicated_batch_norm.py REPLICAS OUT.npz
"""

import sys
import tempfile
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from mmgl_tf.layers.heads.batch_norm_neck import BatchNormNeck
from mmgl_tf.layers.normalization.batch_norm import FusedBatchNorm, synchronise

RESULTS = {}


def drawn(layer, channels, synchronised=True):
    """The layer, built, with random gamma and beta."""
    layer.build((None, channels))
    random = np.random.RandomState(0)
    for variable in layer.trainable_variables:
        variable.assign(1.0 + 0.5 * random.randn(channels))
    if synchronised:
        assert synchronise(layer) == 1
    return layer


def global_rows(shape, replicas, dtype="float32", offset=0.0, seed=1):
    """Rows of all replicas, representable in `dtype`; means and spreads differ from replica to replica."""
    random = np.random.RandomState(seed)
    number = np.repeat(np.arange(replicas), shape[0] // replicas).reshape(-1, *[1] * (len(shape) - 1))
    x = offset + number + (1.0 + number) * random.randn(*shape)
    return tf.cast(tf.constant(x, tf.float32), dtype).numpy()


def spread(strategy, values):
    parts = np.split(values, strategy.num_replicas_in_sync)
    return strategy.experimental_distribute_values_from_function(
        lambda context: tf.constant(parts[context.replica_id_in_sync_group])
    )


def replicated_step(strategy, layer, differentiate=True):
    """(x, direction) -> (y, gradients of the sum of y times direction) of each replica, as a tf.function."""

    def own_step(x, direction):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x, training=True)
        sources = [x, *(variable.value for variable in layer.trainable_variables)]
        return y, tape.gradient(y, sources, output_gradients=direction) if differentiate else []

    return tf.function(lambda x, direction: strategy.run(own_step, args=(x, direction)), autograph=False)


def as_numpy(values, strategy):
    """[R, ...]; bfloat16 becomes float32, which .npz can hold."""
    values = [value.numpy() for value in strategy.experimental_local_results(values)]
    return np.stack([v if v.dtype.name != "bfloat16" else v.astype("float32") for v in values])


def run_case(name, strategy, layer, x, direction):
    y, gradients = replicated_step(strategy, layer)(spread(strategy, x), spread(strategy, direction))
    found = {
        "y": np.concatenate(as_numpy(y, strategy)),
        "by_x": np.concatenate(as_numpy(gradients[0], strategy)),
        "by_gamma": as_numpy(gradients[1], strategy),
        "x": x.astype("float32"),
        "direction": direction.astype("float32"),
        "gamma": layer.gamma.numpy(),
        "beta": tf.convert_to_tensor(layer.beta).numpy(),
        "epsilon": layer.epsilon,
        "dtype": y.values[0].dtype.name,
    }
    if len(gradients) == 3:
        found["by_beta"] = as_numpy(gradients[2], strategy)
    for statistic in ("moving_mean", "moving_variance"):
        variable = getattr(layer, statistic)
        found[statistic] = variable.numpy()
        found[f"{statistic}_of_replicas"] = np.stack([v.numpy() for v in variable.value.values])
    RESULTS.update({f"{name}/{key}": value for key, value in found.items()})


def run_formula_cases(strategy):
    count = strategy.num_replicas_in_sync
    policies = {"bfloat16": "mixed_bfloat16", "float16": "mixed_float16"}
    cases = [
        ("flat", (count * 3, 5), "float32", 0.0),
        ("maps", (count * 2, 4, 3, 5), "float32", 0.0),
        ("single", (count, 5), "float32", 0.0),
        ("offset", (count * 8, 2, 2, 5), "float32", 1e3 * (count + 1) / 2),
        ("bfloat16", (count * 2, 4, 3, 5), "bfloat16", 0.0),
        ("float16", (count * 2, 4, 3, 5), "float16", 0.0),
        ("float64", (count * 2, 4, 3, 5), "float64", 0.0),
        ("epsilon", (count * 2, 4, 3, 5), "float32", 0.0),
    ]
    for name, shape, dtype, offset in cases:
        with strategy.scope():
            epsilon = 0.5 if name == "epsilon" else 1e-5
            layer = drawn(FusedBatchNorm(epsilon, momentum=0.0, dtype=policies.get(dtype, dtype)), shape[-1])
        x = global_rows(shape, count, dtype, offset)
        run_case(f"{name}-{count}", strategy, layer, x, global_rows(shape, count, dtype, seed=2))
    with strategy.scope():
        neck = drawn(BatchNormNeck(momentum=0.0), 5)
    shape = (count * 3, 5)
    x, direction = global_rows(shape, count), global_rows(shape, count, seed=2)
    run_case(f"neck-{count}", strategy, neck, x, direction)


def run_apart(strategy):
    """Without `synchronise`, then saved, restored and assigned from outside."""
    with strategy.scope():
        layer = drawn(FusedBatchNorm(momentum=0.5, name="norm"), 5, synchronised=False)
        model = keras.Sequential([keras.Input((4, 3, 5)), layer])
    shape = (4, 4, 3, 5)
    run_case("apart", strategy, layer, global_rows(shape, 2), global_rows(shape, 2, seed=2))

    def of_replicas():
        return np.stack([value.numpy() for value in layer.moving_variance.value.values])

    with tempfile.TemporaryDirectory() as folder:
        weights, checkpoint = Path(folder, "norm.weights.h5"), Path(folder, "checkpoint")
        model.save_weights(weights)
        saved = tf.train.Checkpoint(model=model).write(str(checkpoint))
        RESULTS["apart/in_checkpoint"] = keras_variables(saved)["moving_variance"]
        with strategy.scope():
            layer.moving_variance.assign(np.full(5, 7.0))
            RESULTS["apart/assigned"] = of_replicas()
            model.load_weights(weights)
            RESULTS["apart/loaded"] = of_replicas()
            layer.moving_variance.assign(np.full(5, 7.0))
            tf.train.Checkpoint(model=model).read(saved).assert_consumed()
            RESULTS["apart/restored"] = of_replicas()
    RESULTS["apart/get_weights"] = layer.get_weights()[3]


def keras_variables(checkpoint):
    """{last part of the name: value} of a layer's vectors in a TF checkpoint."""
    reader = tf.train.load_checkpoint(checkpoint)
    found = {}
    for key in reader.get_variable_to_shape_map():
        for name in ("moving_mean", "moving_variance"):
            if f"/{name}/" in key:
                found[name] = reader.get_tensor(key)
    return found


def run_graphs(strategy):
    """What each replica sends, runs and keeps in a call of the layer, without and with its gradient."""
    count = strategy.num_replicas_in_sync
    x = spread(strategy, global_rows((4, 4, 3, 5), count, "bfloat16"))
    for name in ("synchronised", "apart"):
        with strategy.scope():
            layer = drawn(FusedBatchNorm(dtype="mixed_bfloat16"), 5, name == "synchronised")
        messages = []
        for differentiate in (False, True):
            graph = replicated_step(strategy, layer, differentiate).get_concrete_function(x, x).graph
            operations = graph.get_operations()
            messages.append(sum(op.type.startswith("Collective") for op in operations) / count)
        kernels = [op for op in operations if op.type.startswith("FusedBatchNorm")]
        RESULTS[f"graphs/{name}_messages"] = messages
        RESULTS[f"graphs/{name}_training_kernels"] = [op.get_attr("is_training") for op in kernels]
        RESULTS[f"graphs/{name}_kept"] = kept_maps(operations, graph.inputs[count : 2 * count])


def kept_maps(operations, upstream):
    """Types of the ops whose [B, H, W, C] results wait for the upstream gradient, one entry each."""
    late, kept = {tensor.op for tensor in upstream}, set()
    for op in operations:  # a graph lists inputs before their readers
        if any(i.op in late for i in op.inputs) or late & set(op.control_inputs):
            late.add(op)
            kept |= {source_of(i) for i in op.inputs if i.op not in late and i.shape.rank == 4}
    return sorted(op.type for op, _ in kept)


def source_of(tensor):
    """(op, output) behind identities, which pass a buffer on."""
    while tensor.op.type in ("Identity", "IdentityN"):
        tensor = tensor.op.inputs[tensor.value_index]
    return tensor.op, tensor.value_index


def main(replicas, path):
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * replicas)
    strategy = tf.distribute.MirroredStrategy([f"CPU:{number}" for number in range(replicas)])
    run_formula_cases(strategy)
    if replicas == 2:
        run_apart(strategy)
        run_graphs(strategy)
    np.savez(path, **RESULTS)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
