"""How long a step of each fine-tuning method takes at its paper's size, and how much memory it needs.

    python -m benchmarks.full_size_step [--method=all] [--memory=21]

Each method has its own network, image size and number of images (`--preset=paper --dataset=sysu`), and a
process to itself. Two small batches say how much memory an image costs; a whole batch is run where it should
fit, else the largest one that should, and the whole one in parts (`--accumulate`). The images are noise, so
what is measured is the step alone. The seconds are those of the second step; the first one compiles.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time

GIB = 2**30
SMALL, LARGER = 2, 4  # people of the two batches that tell what an image costs
IDENTITIES = 395  # SYSU-MM01's training identities


def configuration(method, people=0, accumulate=1):
    """The configuration of a run of the paper's size on SYSU-MM01.

    Args:
        method: key of `mmgl_tf.finetuning.FINETUNING`.
        people: identities in a batch; 0 = the paper's.
        accumulate: parts of a batch.
    """
    from mmgl_tf.flags.config import from_flat
    from mmgl_tf.flags.resolution import resolve

    typed = {"method": method, "preset": "paper", "dataset": "sysu", "accumulate": accumulate}
    typed |= {"identities_per_batch": people} if people else {}
    return from_flat(resolve("finetune", typed) | {"mode": "finetune"})


def measure(method, people, accumulate):
    """One step after another in this process.

    Returns:
        {"seconds": of the second step, "gibibytes": the most that the process has held, "without": what it
        held before the first step, "parameters": trained ones}.
    """
    import tensorflow as tf

    from benchmarks.method_steps import random_batch
    from mmgl_tf.modes.model import build_model, prepare
    from mmgl_tf.training.plan import TrainingPlan

    config = configuration(method, people, accumulate)
    prepare(config)
    sizes = config.finetuning
    images = sizes.identities_per_batch * sizes.images_per_identity
    model = build_model(config, TrainingPlan(100, config.optimization.epochs, images, IDENTITIES))
    model.optimizer.build(model.trained_variables)
    batch = random_batch(config)
    before = _held()
    step = tf.function(model.train_step, autograph=False).get_concrete_function(batch)
    for _ in range(2):
        start = time.perf_counter()
        loss = float(step(batch)["loss/total"])
        seconds = time.perf_counter() - start
    if loss != loss:
        raise SystemExit(f"{method}: the loss of the second step is not a number; the figures mean nothing.")
    parameters = sum(int(tf.size(variable)) for variable in model.trained_variables)
    return {"seconds": seconds, "gibibytes": _held(), "without": before, "parameters": parameters}


def _held():
    """The most that this process has held in memory so far, GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / GIB


def in_a_process(method, people, accumulate=1):
    """What `measure` returns, of a fresh process.

    Raises:
        SystemExit: it ended otherwise, for instance for want of memory.
    """
    of = [method, str(people), str(accumulate)]
    command = [sys.executable, "-m", "benchmarks.full_size_step", "--of", *of]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise SystemExit(f"{method} of {people} people in {accumulate} parts ended with {done.returncode}.")
    return json.loads(done.stdout.splitlines()[-1])


def parts_that_fit(people, each, gibibytes, limit):
    """The fewest equal parts of a batch of which one fits.

    Args:
        people, each: of the batch: identities, images of each in a modality.
        gibibytes: function of a number of pairs of images; memory that a part of so many needs.
        limit: GiB.
    """
    pairs = people * each
    for parts in range(1, pairs + 1):
        if not pairs % parts and gibibytes(pairs // parts) <= limit:
            return parts
    raise SystemExit(f"Not even a pair of images fits into {limit} GiB.")


def report(method, limit):
    """Measures a method and prints its lines."""
    from mmgl_tf.flags.methods import title

    config = configuration(method)
    people, each = config.finetuning.identities_per_batch, config.finetuning.images_per_identity
    small, larger = (in_a_process(method, number) for number in (SMALL, LARGER))
    an_image = (larger["gibibytes"] - small["gibibytes"]) / ((LARGER - SMALL) * each)

    def gibibytes(pairs):
        return small["gibibytes"] + (pairs - SMALL * each) * an_image

    size = f"{config.data.image_height} x {config.data.image_width}"
    print(
        f"{title(method)}: {size}, {people} x ({each} + {each}) images, {small['parameters']:,} parameters, "
        f"{1024 * an_image / 2:.0f} MiB an image",
        flush=True,
    )
    runs = []
    if gibibytes(people * each) <= limit:
        runs.append((people, 1))
    else:
        most = max(number for number in range(1, people) if gibibytes(number * each) <= limit)
        runs += [(most, 1), (people, parts_that_fit(people, each, gibibytes, limit))]
    for number, parts in runs:
        found = in_a_process(method, number, parts)
        whole = "the whole batch" if number == people else f"{number} of {people} people"
        whole += f" in {parts} parts" if parts > 1 else ""
        print(f"  {whole:<32}{found['seconds']:>8.1f} s{found['gibibytes']:>8.1f} GiB", flush=True)


def main():
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--method", default="all", help="one fine-tuning method, or all")
    parser.add_argument("--memory", type=float, default=21.0, help="GiB that a process may need")
    parser.add_argument("--of", nargs=3, help=argparse.SUPPRESS)  # a process that measures
    arguments = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")
    if arguments.of:
        method, people, accumulate = arguments.of
        print(json.dumps(measure(method, int(people), int(accumulate))))
        return
    from mmgl_tf.flags.methods import FINETUNING

    names = list(FINETUNING) if arguments.method == "all" else [arguments.method]
    print(f"A training step at the paper's size, float32, {len(os.sched_getaffinity(0))} cores:", flush=True)
    for name in names:
        report(name, arguments.memory)


if __name__ == "__main__":
    main()
