"""What a pre-training step computes, moves and sends, and what a GPU could make of that at best.

    python -m benchmarks.operations [--preset=paper] [--batch=48] [--precision=bfloat16] [--gpus=8] [...]

The step's graph is traced as a run would trace it, but never run, so any machine will do. Its operations,
parameters and messages are counted; nothing is typed in. What an accelerator makes of them is arithmetic with
peak figures, which are flags. Every time and rate printed is a prediction.

The arithmetic. An operation takes the longer of its products at peak rate and its inputs and outputs at peak
bandwidth, each read or written once ("one by one"). Where a compiler joins what acts cell by cell with its
neighbours, only the rest counts ("joined"): XLA may come near that, but works on one GPU only. Starting a
kernel takes the host a while; starting and computing overlap, so the slower of the two counts. Messages come
on top: an all-reduce of n bytes over R GPUs sends 2 (R - 1) / R n over each one's link, after a latency.
"""

import argparse
import dataclasses
import math
import os

import tensorflow as tf

from benchmarks.graph_operations import operations
from benchmarks.messages import Messages, ReplicaOfMany
from benchmarks.recipe import add_recipe_flags, recipe
from mmgl_tf.layers.normalization.batch_norm import synchronise
from mmgl_tf.modes.model import build_model, prepare
from mmgl_tf.pipelines.batches.sampling import steps_in_epoch
from mmgl_tf.pipelines.readers.sysu import PUBLISHED
from mmgl_tf.pipelines.records import MODALITIES
from mmgl_tf.training.plan import TrainingPlan


def traced(config, images, number=1):
    """The training step of one of several replicas, traced.

    Args:
        config: `mmgl_tf.flags.config.Config`.
        images: per modality on the replica.
        number: replicas.

    Returns:
        (model, operations forward, operations of the step, `Messages`).
    """
    model, messages = build_model(config, TrainingPlan(100)), Messages()
    if number > 1 and config.scale.sync_batch_norm:
        synchronise(model)
    pixels = [images, config.data.image_height, config.data.image_width, 3]
    batch = {name: tf.TensorSpec(pixels, tf.float32) for name in MODALITIES}
    batch["permutation"] = tf.TensorSpec([2 * images, config.mmgl.num_stripes], tf.int32)
    seed = tf.TensorSpec([2], tf.int32)
    with ReplicaOfMany(number, Messages()).pretended():
        forward = tf.function(lambda batch, seed: model.loss_terms(batch, seed)[0], autograph=False)
        forward = operations(forward.get_concrete_function(batch, seed).graph)
    with ReplicaOfMany(number, messages).pretended():
        step = tf.function(model.train_step, autograph=False).get_concrete_function(batch)
    return model, forward, operations(step.graph), messages


@dataclasses.dataclass(frozen=True)
class Accelerator:
    """Peak figures, of an H100 SXM's public data sheet, and two latencies, which are assumptions."""

    tflops_16_bit: float = 989.0  # dense, tensor cores
    tflops_tf32: float = 495.0  # dense; what a float32 step computes with
    tflops_float32: float = 67.0  # what heads and losses compute with where the trunk is of 16 bits
    memory_gigabytes: float = 3350.0  # a second
    link_gigabytes: float = 450.0  # a second, each direction, NVLink
    kernel_microseconds: float = 5.0  # to start one
    message_microseconds: float = 20.0  # to start one


@dataclasses.dataclass(frozen=True)
class Prediction:
    """Milliseconds of a step on each GPU; see the head of this file."""

    compute: float
    memory: float
    memory_joined: float
    device: float
    device_joined: float
    starts: float
    starts_joined: float
    bandwidth: float
    latency: float

    @property
    def step(self):
        """TensorFlow's kernels one by one."""
        return max(self.device, self.starts) + self.bandwidth + self.latency

    @property
    def step_joined(self):
        """As XLA may come near."""
        return max(self.device_joined, self.starts_joined) + self.bandwidth + self.latency


def predict(found, messages, number, peak, precision="bfloat16"):
    """The arithmetic.

    Args:
        found: list of `Operation`, of a replica's step.
        messages: its `Messages`.
        number: GPUs.
        peak: `Accelerator`.
        precision: of the trunk; only with float32 may TF32 be used, see `mmgl_tf.modes.model.prepare`.

    Returns:
        `Prediction`.
    """
    full = peak.tflops_tf32 if precision == "float32" else peak.tflops_float32

    def products(op):
        return 2 * op.multiply_adds / (peak.tflops_16_bit if op.half else full) / 1e9

    def traffic(op):
        return op.bytes / peak.memory_gigabytes / 1e6

    joined = [op for op in found if not op.cellwise]
    count, size = messages.summary()
    return Prediction(
        compute=sum(map(products, found)),
        memory=sum(map(traffic, found)),
        memory_joined=sum(map(traffic, joined)),
        device=sum(max(products(op), traffic(op)) for op in found),
        device_joined=sum(max(products(op), traffic(op)) for op in joined),
        starts=len(found) * peak.kernel_microseconds / 1e3,
        starts_joined=len(joined) * peak.kernel_microseconds / 1e3,
        bandwidth=2 * (number - 1) / number * size / peak.link_gigabytes / 1e6,
        latency=count * peak.message_microseconds / 1e3,
    )


def print_counts(model, forward, step, images, batch_size):
    """What was counted on one GPU."""
    parameters = sum(math.prod(variable.shape) for variable in model.trainable_variables)
    ahead, all_of = (sum(op.multiply_adds for op in ops) / (2 * images) / 1e9 for ops in (forward, step))
    traffic = sum(op.bytes for op in step) / 1e9
    joined = [op for op in step if not op.cellwise]
    less = sum(op.bytes for op in joined) / 1e9
    print(f"Counted in the graph of a step on one GPU, {images} + {images} images:")
    print(f"  trainable parameters     {parameters:,}; gradients {4 * parameters / 2**20:.1f} MiB")
    print(
        f"  multiply-adds an image   forward {ahead:.2f} G, step {all_of:.2f} G ({all_of / ahead:.2f} times)"
    )
    print(f"  FLOPs                    an image {2 * all_of:.1f} G, a step {4 * images * all_of / 1e3:.2f} T")
    print(f"  memory traffic           one by one {traffic:.1f} GB, joined {less:.1f} GB")
    print(f"  kernels                  one by one {len(step):,}, joined {len(joined):,}")
    visible, infrared = PUBLISHED["training visible"], PUBLISHED["training infrared"]
    print(
        f"  SYSU-MM01                {steps_in_epoch(visible, infrared, batch_size):,} steps an epoch of "
        f"{batch_size} + {batch_size} ({visible:,} visible, {infrared:,} infrared images)"
    )


def print_messages(messages, number, synchronised):
    """What a replica sends."""
    norm = "synchronised" if synchronised else "each GPU's own"
    print(f"Counted in the graph of a step on one of {number} GPUs, batch norm {norm}:")
    for what, meaning in (
        ("gradients", "gradients"),
        ("rows", "outputs of the heads"),
        ("statistics", "batch norm"),
    ):
        count, size = messages.summary(what)
        print(f"  {meaning:<25}{count} messages, {size / 2**20:.2f} MiB")


def main():
    """Traces and prints."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    add_recipe_flags(parser, "paper", "bfloat16")
    parser.add_argument("--gpus", type=int, default=8, help="beside one")
    parser.add_argument("--nosync_batch_norm", action="store_true", help="each GPU by itself")
    parser.add_argument("--epochs", type=int, default=100, help="of the run whose hours are printed")
    parser.add_argument(
        "--images_per_core", type=float, default=1228.0, help="a second, from the input pipeline (README)"
    )
    parser.add_argument(
        "--images_per_process", type=float, default=7500.0, help="a second, at most, from the same benchmark"
    )
    parser.add_argument("--reached", type=float, default=0.5, help="share of the bound that is assumed")
    for field in dataclasses.fields(Accelerator):
        parser.add_argument(f"--{field.name}", type=float, default=field.default)
    arguments = parser.parse_args()
    peak = Accelerator(
        **{field.name: getattr(arguments, field.name) for field in dataclasses.fields(Accelerator)}
    )
    number, batch = arguments.gpus, arguments.batch
    config = recipe(arguments, sync_batch_norm=not arguments.nosync_batch_norm, deterministic=False)
    prepare(config)

    data, network = config.data, config.network
    print(
        f"{network.backbone}, {data.image_height}x{data.image_width}, {arguments.precision}, preset "
        f"{arguments.preset}; TensorFlow {tf.__version__}, traced and not run"
    )
    # (GPUs, images per modality on each)
    layouts = [(1, batch)]
    if number > 1:
        layouts += [(number, batch // number)] * (batch % number == 0) + [(number, batch)]
    columns = []
    for gpus, each in layouts:
        model, forward, step, messages = traced(config, each, gpus)
        if gpus == 1:
            print_counts(model, forward, step, each, batch)
        elif len(columns) == 1:
            print_messages(messages, gpus, config.scale.sync_batch_norm)
        kernels = (len(step), sum(not op.cellwise for op in step))
        times = predict(step, messages, gpus, peak, arguments.precision)
        columns.append((gpus, each, kernels, messages, times))
    print("Assumed: " + ", ".join(f"{name} {value:g}" for name, value in dataclasses.asdict(peak).items()))
    print_predictions(columns, arguments, config)


def print_predictions(columns, arguments, config):
    """The table of times."""
    visible, infrared = PUBLISHED["training visible"], PUBLISHED["training infrared"]

    def rates(layout):
        gpus, each, _, _, times = layout
        return [2000 * gpus * each / ms for ms in (times.step, times.step_joined)]

    def hours(layout):
        gpus, each, _, _, times = layout
        steps = arguments.epochs * steps_in_epoch(visible, infrared, gpus * each, config.pretraining.epoch_by)
        return [steps * ms / 3.6e6 for ms in (times.step, times.step_joined)]

    def both(values, form):
        return " / ".join(form.format(value) for value in values)

    def cases(layout, values, form):
        """Joined on one GPU only, as XLA does not compile a replicated step."""
        return both(values, form) if layout[0] == 1 else form.format(values[0])

    rows = {
        "images of a step": lambda c: f"{c[0] * c[1]} + {c[0] * c[1]}",
        "images of a GPU": lambda c: f"{c[1]} + {c[1]}",
        "products at peak, ms": lambda c: f"{c[4].compute:.2f}",
        "memory at peak, ms": lambda c: cases(c, (c[4].memory, c[4].memory_joined), "{:.2f}"),
        "the longer, op by op, ms": lambda c: cases(c, (c[4].device, c[4].device_joined), "{:.2f}"),
        "kernels": lambda c: cases(c, c[2], "{:,}"),
        "starting them, ms": lambda c: cases(c, (c[4].starts, c[4].starts_joined), "{:.2f}"),
        "messages": lambda c: f"{c[3].summary()[0]} of {c[3].summary()[1] / 2**20:.1f} MiB",
        "their bandwidth, ms": lambda c: f"{c[4].bandwidth:.2f}",
        "their latency, ms": lambda c: f"{c[4].latency:.2f}",
        "step, ms": lambda c: cases(c, (c[4].step, c[4].step_joined), "{:.1f}"),
        "images/s": lambda c: cases(c, rates(c), "{:,.0f}"),
        "CPU cores to feed them": lambda c: cases(
            c, [r / arguments.images_per_core for r in rates(c)], "{:.1f}"
        ),
        "processes to feed them": lambda c: cases(
            c, [math.ceil(r / arguments.images_per_process) for r in rates(c)], "{}"
        ),
        f"hours of {arguments.epochs} epochs, SYSU": lambda c: cases(c, hours(c), "{:.2f}"),
        f"  images/s at {arguments.reached:g} of it": lambda c: cases(
            c, [arguments.reached * rate for rate in rates(c)], "{:,.0f}"
        ),
        "  processes to feed that": lambda c: cases(
            c, [math.ceil(arguments.reached * r / arguments.images_per_process) for r in rates(c)], "{}"
        ),
        f"  hours at {arguments.reached:g} of it": lambda c: cases(
            c, [time / arguments.reached for time in hours(c)], "{:.2f}"
        ),
    }
    print("Predicted bounds; a / b: operations one by one / joined:")
    heads = (f"{layout[0]} GPU{'s' * (layout[0] > 1)}" for layout in columns)
    print(f"  {'':<28}" + "".join(f"{head:>24}" for head in heads))
    for name, show in rows.items():
        print(f"  {name:<28}" + "".join(f"{show(layout):>24}" for layout in columns))


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    main()
