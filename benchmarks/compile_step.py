"""A training step with and without XLA, on this machine's first GPU or else on cores of its processor.

    python -m benchmarks.compile_step [--preset=demo] [--precisions=float32,bfloat16] [--cores=1] [--rounds=9]

Both kinds of the same step take turns, and the ratio is taken per turn. On one core processor time is
counted, on several cores or a GPU wall-clock time. `--jit_compile=auto` goes by the outcome.
"""

import argparse
import os
import time

import keras
import tensorflow as tf

from benchmarks.median_and_range import median_and_range
from benchmarks.recipe import add_recipe_flags, recipe
from benchmarks.train_step import drawn_batch
from mmgl_tf.modes.model import build_model, prepare
from mmgl_tf.training.plan import TrainingPlan


def step_of(config, batch, compiled):
    """A function that takes one training step and returns the loss as a float.

    Args:
        config: `mmgl_tf.flags.config.Config`.
        batch: as of `drawn_batch`.
        compiled: by XLA.
    """
    model = build_model(config, TrainingPlan(100))
    batch = {name: tf.constant(value) for name, value in batch.items()}
    # As Keras compiles: the step alone.
    step = tf.function(model.train_step, jit_compile=compiled, autograph=False)
    return lambda: float(step(batch)["loss/total"])


def compare(steps, rounds, clock):
    """Seconds of each function, which take turns.

    Args:
        steps: {name: function without arguments}.
        rounds: turns of each, after the first call and one more that does not count.
        clock: function () -> seconds.

    Returns:
        ({name: seconds of the first call}, {name: list of seconds}, {name: list of all results}).
    """
    first, seconds, results = {}, {name: [] for name in steps}, {name: [] for name in steps}
    for turn in range(rounds + 2):
        for name, step in steps.items():
            start = clock()
            results[name].append(step())
            taken = clock() - start
            if turn == 0:
                first[name] = taken
            elif turn > 1:
                seconds[name].append(taken)
    return first, seconds, results


def main(words=None):
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    add_recipe_flags(parser, "demo")
    parser.add_argument("--precisions", default="float32,bfloat16")
    parser.add_argument("--cores", type=int, default=1, help="that it may use, where there is no GPU")
    parser.add_argument("--rounds", type=int, default=9)
    arguments = parser.parse_args(words)
    gpu = bool(tf.config.list_physical_devices("GPU"))
    if not gpu:
        own = sorted(os.sched_getaffinity(0))[-arguments.cores :]
        os.sched_setaffinity(0, own)  # before TensorFlow starts its threads
    alone = not gpu and arguments.cores == 1
    clock = time.process_time if alone else time.perf_counter
    place = (
        "one core, processor time"
        if alone
        else f"{'one GPU' if gpu else f'{len(own)} cores'}, wall-clock time"
    )
    print(f"TensorFlow {tf.__version__}, Keras {keras.__version__}, {place}; median [least, most]")
    for precision in arguments.precisions.split(","):
        arguments.precision = precision
        config = recipe(arguments, deterministic=False)
        prepare(config)
        data = config.data
        batch = drawn_batch(arguments.batch, data.image_height, data.image_width)
        steps = {name: step_of(config, batch, name == "XLA") for name in ("plain", "XLA")}
        first, seconds, results = compare(steps, arguments.rounds, clock)
        print(
            f"{config.network.backbone}, {data.image_height}x{data.image_width}, {arguments.batch} + "
            f"{arguments.batch} images, {precision}:"
        )
        for name in steps:
            step = median_and_range([1000 * s for s in seconds[name]], "{:.0f}")
            print(
                f"  {name:<8}{step:>20} ms a step; first call "
                f"{first[name]:.1f} s; loss at first {results[name][0]:.4f}"
            )
        ratio = median_and_range(
            [plain / xla for plain, xla in zip(seconds["plain"], seconds["XLA"], strict=True)]
        )
        print(f"  speed with XLA beside without: {ratio}")


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    main()
