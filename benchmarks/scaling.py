"""Step time and images/s of one batch on 1, 2, 4 replicas, and the share of it that messages take.

    python -m benchmarks.scaling [--replicas=2,4] [--workers=2] [--cores=all|each] [--turns=7] [--steps=3]

Replicas are GPUs where there are any, else virtual devices of one process; `--workers` adds a case of so many
processes that talk over loopback. Each case is a process of its own (`benchmarks.scaling_case`), with the
global batch, shared out to its replicas, held in memory. The cases take turns, and a ratio is taken within a
turn, so that a change of the machine's speed meets all. Wall-clock time; "processor time" is that of all
processes of a case, beside one replica's: it tells more work from waiting.

Communication is what a step takes less when every replica takes its own values for everybody's, with the same
work but for the messages. Without GPUs, `--cores=all` gives all cores to every case, one replica's too: what
is seen is the overhead of replicas, not a speed-up. `--cores=each` gives a case as many cores as it has
replicas, so that two workers on two cores scale as two machines do.
"""

import argparse
import contextlib
import json
import os
import select
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import tensorflow as tf

from benchmarks.median_and_range import median_and_range
from benchmarks.recipe import add_recipe_flags, recipe
from benchmarks.scaling_case import ALONE, MARK, REPLICATED
from mmgl_tf.machines.local_workers import free_ports

ROOT = Path(__file__).resolve().parents[1]
PATIENCE_SECONDS = 900


class Child:
    """A process of a case.

    Args:
        words: its command line, behind the interpreter.
        cores: set of those that it may use.
        environment: beside this process's.
    """

    def __init__(self, words, cores, environment):
        self.errors = tempfile.TemporaryFile()  # noqa: SIM115, open as long as the process
        self.process = subprocess.Popen(
            [sys.executable, *words],
            cwd=ROOT,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2", "TF_CONFIG": "{}", **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            # Before TensorFlow counts the cores. No thread here holds a lock that the child would need.
            preexec_fn=lambda: os.sched_setaffinity(0, cores),
        )
        self.received = b""

    def ask(self, text):
        """Sends a line."""
        with contextlib.suppress(BrokenPipeError):  # it has ended: `read` tells
            self.process.stdin.write(f"{text}\n".encode())
            self.process.stdin.flush()

    def read(self):
        """The answer that has arrived, or None if it has not arrived as a whole.

        Raises:
            SystemExit: the process has ended.
        """
        chunk = os.read(self.process.stdout.fileno(), 1 << 16)
        if not chunk:
            self.errors.seek(0)
            told = self.errors.read().decode(errors="replace")[-3000:]
            raise SystemExit(f"{told}\nA case of the benchmark has ended too early; see above.")
        self.received += chunk
        *lines, self.received = self.received.split(b"\n")
        found = [line.decode() for line in lines if line.startswith(MARK.encode())]
        return json.loads(found[0].removeprefix(MARK)) if found else None

    def stop(self):
        """Ends it."""
        self.process.kill()
        self.process.wait()


class Case:
    """A number of replicas, in one process or in several.

    Args:
        name: for the table.
        strategy: "none", "mirrored" or "multi_worker".
        replicas: of all processes.
        processes: how many share them.
        cores: for each process, the set of cores that it may use.
        flags: of the recipe, words.

    Attributes:
        variants: that it knows, see `benchmarks.scaling_case`.
        messages: {variant: {what: [messages, bytes]}} of a replica's step, once `started`.
        gpus: of its first process, once `started`.
    """

    def __init__(self, name, strategy, replicas, processes, cores, flags):
        self.name = name
        self.variants = ALONE if replicas == 1 else REPLICATED
        local, ports = replicas // processes, free_ports(processes)
        self.children = []
        for index in range(processes):
            words = ["-m", "benchmarks.scaling_case", f"--strategy={strategy}", f"--replicas={local}", *flags]
            cluster = {"worker": [f"127.0.0.1:{port}" for port in ports]}
            task = {"type": "worker", "index": index}
            # A proxy of the environment would be asked for 127.0.0.1, too, and the workers wait for ever.
            several = {
                "TF_CONFIG": json.dumps({"cluster": cluster, "task": task}),
                "no_grpc_proxy": "127.0.0.1",
            }
            self.children.append(
                Child(
                    [*words, f"--first_gpu={index * local}"],
                    cores[index],
                    several if strategy == "multi_worker" else {},
                )
            )

    def started(self):
        """Waits until it is ready."""
        told = self._answers()[0]
        self.messages, self.gpus = told["messages"], told["gpus"]
        return self

    def take(self, variant, steps):
        """Takes some steps.

        Returns:
            (median seconds of a step, of the slowest process; processor seconds of a step, of all processes).
        """
        for child in self.children:
            child.ask(f"{variant} {steps}")
        told = self._answers()
        slowest = max(statistics.median(one["seconds"]) for one in told)
        return slowest, sum(one["processor"] for one in told)

    def _answers(self):
        waiting, answers = {child.process.stdout: child for child in self.children}, {}
        end = time.monotonic() + PATIENCE_SECONDS
        while waiting:
            ready = select.select(list(waiting), [], [], max(end - time.monotonic(), 0))[0]
            if not ready:
                raise SystemExit(f"{self.name}: no answer for {PATIENCE_SECONDS} seconds.")
            for pipe in ready:
                answer = waiting[pipe].read()
                if answer is not None:
                    answers[waiting.pop(pipe)] = answer
        return [answers[child] for child in self.children]

    def stop(self):
        """Ends its processes."""
        for child in self.children:
            child.stop()


def plan(replicas, workers, cores, available, gpus):
    """The cases to run.

    Args:
        replicas: list of numbers of replicas in one process; 1 is always there.
        workers: processes of the last case, or 0.
        cores: "all" or "each", see the head of this file.
        available: sorted list of the machine's cores.
        gpus: of the machine.

    Returns:
        (list of arguments of `Case` without flags, list of texts about what is left out).
    """
    wanted = [("1 replica", "none", 1, 1)]
    wanted += [(f"{n} in one process", "mirrored", n, 1) for n in replicas if n > 1]
    wanted += [(f"{workers} processes", "multi_worker", workers, workers)] * (workers > 1)
    cases, left_out = [], []
    for name, strategy, total, processes in wanted:
        if gpus and total > gpus:
            left_out.append(f"{name}: left out, there are {gpus} GPUs")
        elif cores == "each" and total > len(available):
            left_out.append(f"{name}: left out, there are {len(available)} cores")
        elif cores == "all":
            cases.append((name, strategy, total, processes, [set(available)] * processes))
        else:
            local = total // processes
            own = [set(available[index * local : (index + 1) * local]) for index in range(processes)]
            cases.append((name, strategy, total, processes, own))
    return cases, left_out


def measure(cases, turns, steps):
    """{(case name, variant): list of what `Case.take` returned, one for each turn}."""
    found = {(case.name, variant): [] for case in cases for variant in case.variants}
    for turn in range(turns):
        for case in cases if turn % 2 == 0 else reversed(cases):
            for variant in case.variants:
                found[case.name, variant].append(case.take(variant, steps))
    return found


def row(found, name, norm, images):
    """What the table says of a case.

    Args:
        found: as of `measure`.
        name: of the case.
        norm: "synchronised" or "own", or "" for one replica.
        images: of both modalities in the global batch.

    Returns:
        list of texts.
    """
    one, live = found["1 replica", "alone"], found[name, f"{norm} live" if norm else "alone"]
    cells = [
        median_and_range([1000 * seconds for seconds, _ in live], "{:.0f}"),
        median_and_range([images / seconds for seconds, _ in live], "{:.0f}"),
    ]
    if not norm:
        return [*cells, "1", "1", "-"]
    silent = found[name, f"{norm} silent"]
    return [
        *cells,
        median_and_range([alone[0] / mine[0] for alone, mine in zip(one, live, strict=True)]),
        median_and_range([mine[1] / alone[1] for alone, mine in zip(one, live, strict=True)]),
        median_and_range([100 * (1 - s[0] / mine[0]) for s, mine in zip(silent, live, strict=True)], "{:.0f}")
        + " %",
    ]


def table(cases, found, images):
    """Prints the results."""
    heads = ["ms a step", "images/s", "speed beside one", "processor time", "communication", "messages"]
    print(f"{'':<18}{'batch norm':<14}" + "".join(f"{head:>21}" for head in heads))
    for case in cases:
        for norm in ("synchronised", "own") if len(case.variants) > 1 else ("",):
            number, size = case.messages[f"{norm} live" if norm else "alone"]["all"]
            cells = [*row(found, case.name, norm, images), f"{number} of {size / 2**20:.1f} MiB"]
            print(f"{case.name:<18}{norm or '-':<14}" + "".join(f"{cell:>21}" for cell in cells))


def main(words=None):
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    add_recipe_flags(parser, "demo")
    parser.add_argument("--replicas", default="2,4", help="of one process, beside one")
    parser.add_argument("--workers", type=int, default=2, help="processes of the last case; 0 = without it")
    parser.add_argument("--cores", default="all", choices=("all", "each"))
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--steps", type=int, default=3, help="in a turn, after one that does not count")
    arguments = parser.parse_args(words)
    flags = [f"--batch={arguments.batch}", f"--precision={arguments.precision}"]
    flags += [
        f"--{name}={value}" for name in ("preset", "backbone", "size") if (value := getattr(arguments, name))
    ]
    gpus = len(tf.config.list_physical_devices("GPU"))
    available = sorted(os.sched_getaffinity(0))
    replicas = [int(number) for number in arguments.replicas.split(",") if number]
    wanted, left_out = plan(replicas, arguments.workers, arguments.cores, available, gpus)
    config = recipe(arguments)
    print(
        f"TensorFlow {tf.__version__}, {f'{gpus} GPUs' if gpus else 'no GPU'}, {len(available)} cores; "
        f"{config.network.backbone}, {config.data.image_height}x{config.data.image_width}, "
        f"{arguments.precision}, {arguments.batch} + {arguments.batch} images in all, "
        f"--cores={arguments.cores}\n{arguments.turns} turns of {arguments.steps} steps, median [least, most]"
    )
    cases = []
    try:
        for what in wanted:
            cases.append(Case(*what, flags))
            cases[-1].started()
        table(cases, measure(cases, arguments.turns, arguments.steps), 2 * arguments.batch)
    finally:
        for case in cases:
            case.stop()
    for text in left_out:
        print(text)


if __name__ == "__main__":
    main()
