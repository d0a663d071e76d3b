"""Many clients at once on one exported model: is every answer right, every mistake refused, nothing lost?

    python -m benchmarks.load --model=RUN/export/mmgl [--requests=2000 --clients=8 --bad=0.05] [--run=RUN]

Starts the stand-in server (`mmgl_tf.serving.stand_in`) in a process of its own. Each client is a thread with
a REST and a gRPC connection that sends the next request of a drawn plan: batches of 1 to 8 images, every
`--bad`th part wrong in each of the ways of `mmgl_tf.serving.mistakes`, over either protocol. Answers are
compared with embeddings computed in this process: by the run's own network with --run, else by the
SavedModel in Python. The exit status is 0 for none wrong, none lost and no memory gained after the warm-up.
The times are the stand-in's and these clients' on shared cores, and say nothing about TF Serving.
"""

import argparse
import itertools
import json
import os
import random
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")

BATCHES = (1, 1, 1, 2, 3, 4, 8)
IMAGES = 48
REQUEST_BYTES = 4 << 20
WARM_UP = 0.25  # part of the requests after which memory has been allocated once
# Growth that the allocator's fragments explain, whichever is more; keeping each request's images is some 7 %.
MEMORY_SLACK, MEMORY_SLACK_BYTES = 0.03, 15 << 20
TOLERANCE = {"float32": 1e-4, "bfloat16": 3e-2}  # of a value; a batch's size changes the order of sums


@dataclass(frozen=True)
class Request:
    """One request of the plan.

    Attributes:
        protocol: "REST" or "gRPC".
        images, codes: numbers of the images and their modalities; () for a bad request.
        mistake: number of the bad request, else None.
    """

    protocol: str
    images: tuple = ()
    codes: tuple = ()
    mistake: int | None = None


@dataclass
class Tally:
    """What came of the requests."""

    right: int = 0
    refused: int = 0
    wrong: list = field(default_factory=list)
    lost: list = field(default_factory=list)
    seconds: list = field(default_factory=list)  # of each right answer
    images: int = 0
    memory: dict = field(default_factory=dict)  # moment -> bytes
    wall_seconds: float = 0.0

    @property
    def answered(self):
        """Requests whose end is known."""
        return self.right + self.refused + len(self.wrong) + len(self.lost)

    @property
    def growth(self):
        """Memory at the end over memory after the warm-up, minus 1."""
        return self.memory["end"] / self.memory["after warm-up"] - 1.0

    @property
    def growth_limit(self):
        """The largest `growth` that is no leak."""
        return max(MEMORY_SLACK, MEMORY_SLACK_BYTES / self.memory["after warm-up"])

    def fine(self, requests):
        """Whether every request came to its right end, and memory stayed."""
        whole = self.answered == requests and not self.wrong and not self.lost
        return whole and self.growth <= self.growth_limit


@dataclass(frozen=True)
class Traffic:
    """What is sent.

    Attributes:
        requests, clients: how many, and how many send them at once.
        bad: part of the requests that is wrong, spread evenly over the kinds of mistakes.
        seed: of the draw.
    """

    requests: int = 2000
    clients: int = 8
    bad: float = 0.05
    seed: int = 0


def plan(traffic, images, kinds):
    """The requests in their order.

    Args:
        traffic: `Traffic`.
        images: how many images there are.
        kinds: how many mistakes there are.

    Returns:
        List of `Request`.
    """
    dice = random.Random(traffic.seed)
    found = [Request("", mistake=number % kinds) for number in range(round(traffic.requests * traffic.bad))]
    for number in range(traffic.requests - len(found)):
        size = dice.choice(BATCHES)
        chosen = tuple(dice.randrange(images) for _ in range(size))
        found.append(Request(("REST", "gRPC")[number % 2], chosen, tuple(dice.choices((0, 1), k=size))))
    dice.shuffle(found)
    return found


def run_load(model, name, embed, two_streams, traffic, tolerance=1e-4):
    """Sends the requests and judges the answers.

    Args:
        model: directory with numbered versions.
        name: under which it is served.
        embed: (list of images, modality codes) -> float32 [n, D], the right answers.
        two_streams: whether the model asks for a modality.
        traffic: `Traffic`.
        tolerance: largest difference of a value.

    Returns:
        `Tally`.
    """
    from mmgl_tf.serving.drawn_images import drawn_images
    from mmgl_tf.serving.stand_in.process import StandIn

    images = drawn_images(IMAGES, traffic.seed)
    right = {code: embed(images, [code] * IMAGES) for code in ((0, 1) if two_streams else (0,))}
    tally = Tally()
    with StandIn(model, name, max_request_bytes=REQUEST_BYTES) as server:
        judging = (images, right, two_streams, tolerance, tally)
        callers = [_Caller(server, name, *judging) for _ in range(traffic.clients)]
        every = plan(traffic, IMAGES, len(callers[0].mistakes))
        work = _in_turn(every, lambda place: _note_memory(tally, server, place, len(every)))
        threads = [threading.Thread(target=caller.send_all, args=(work,)) for caller in callers]
        tally.memory["start"] = server.memory_bytes()
        started = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        tally.wall_seconds = time.perf_counter() - started
        tally.memory["end"] = server.memory_bytes()
        for caller in callers:
            caller.close()
    return tally


def _in_turn(requests, note):
    """The requests, one at a time to whoever asks; note(place) before each."""
    lock, places = threading.Lock(), itertools.count()

    def each():
        while True:
            with lock:
                place = next(places)
                if place >= len(requests):
                    return
                note(place)
            yield requests[place]

    return each


def _note_memory(tally, server, place, total):
    if place == int(WARM_UP * total):
        tally.memory["after warm-up"] = server.memory_bytes()


class _Caller:
    """One client: a connection over each protocol, and every mistake."""

    _lock = threading.Lock()

    def __init__(self, server, name, images, right, two_streams, tolerance, tally):
        from mmgl_tf.serving.client import GrpcClient, RestClient
        from mmgl_tf.serving.mistakes import mistakes

        self.clients = {
            "REST": RestClient("127.0.0.1", server.rest_port, name),
            "gRPC": GrpcClient("127.0.0.1", server.port, name),
        }
        self.mistakes = mistakes(*self.clients.values(), images[0], two_streams, REQUEST_BYTES)
        self.images, self.right, self.two_streams = images, right, two_streams
        self.tolerance, self.tally = tolerance, tally

    def send_all(self, work):
        """Sends requests until there are none left."""
        for request in work():
            if request.mistake is None:
                self._ask(request)
            else:
                problem = self.mistakes[request.mistake].problem()
                with self._lock:
                    if problem:
                        self.tally.wrong.append(problem)
                    else:
                        self.tally.refused += 1

    def _ask(self, request):
        codes = request.codes if self.two_streams else (0,) * len(request.images)
        wanted = np.stack([self.right[code][n] for n, code in zip(request.images, codes, strict=True)])
        started = time.perf_counter()
        try:
            found = self.clients[request.protocol].embed(
                [self.images[number] for number in request.images], codes if self.two_streams else None
            )
        except OSError as error:  # ServingError is one
            with self._lock:
                self.tally.lost.append(f"{request}: {error}")
            return
        seconds = time.perf_counter() - started
        difference = np.abs(found - wanted).max() if found.shape == wanted.shape else np.inf
        with self._lock:
            if difference <= self.tolerance:  # false for what is not a number, too
                self.tally.right += 1
                self.tally.images += len(request.images)
                self.tally.seconds.append(seconds)
            else:
                self.tally.wrong.append(f"{request}: differs by {difference:.1e}")

    def close(self):
        """Closes the connections."""
        for client in self.clients.values():
            client.close()


def table(tally, traffic):
    """The result, as lines."""
    low, high = np.percentile(tally.seconds, [50, 99]) * 1e3 if tally.seconds else (np.nan, np.nan)
    rows = [
        ("requests", f"{traffic.requests} from {traffic.clients} clients, REST and gRPC"),
        ("right", f"{tally.right} ({tally.images} images)"),
        ("refused", f"{tally.refused}, each with the right status and cause"),
        ("wrong", len(tally.wrong)),
        ("lost", len(tally.lost) + traffic.requests - tally.answered),
        ("latency", f"p50 {low:.1f} ms, p99 {high:.1f} ms, of up to {max(BATCHES)} images"),
        ("throughput", f"{tally.images / tally.wall_seconds:.1f} images/s"),
        ("memory", ", ".join(f"{value / 2**20:.0f} MiB {moment}" for moment, value in tally.memory.items())),
        ("growth", f"{tally.growth:+.1%} after the warm-up (at most {tally.growth_limit:.1%})"),
    ]
    return [f"{name:11} {value}" for name, value in rows]


def _embedder(model, facts, run):
    """The right answers' function: of the run where it is given, else of the SavedModel in this process."""
    if not run:
        from mmgl_tf.serving.predictor import Predictor

        return Predictor(model).embed
    from mmgl_tf.flags.reading import configs_of
    from mmgl_tf.modes.exchange.serve_check import reference_embedder

    (config,) = configs_of({"mode": "serve_check", "init": str(run)})
    return reference_embedder(config, facts).embed


def main(arguments=None):
    """The command; its exit status."""
    parser = argparse.ArgumentParser("python -m benchmarks.load", description=__doc__.split("\n")[0])
    parser.add_argument("--model", required=True, help="directory with numbered versions")
    parser.add_argument("--run", default="", help="the run that it was exported from, as the reference")
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--bad", type=float, default=0.05, help="part of the requests that is wrong, 0 to 1")
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args(arguments)
    if chosen.requests < 4 or chosen.clients < 1 or not 0 <= chosen.bad <= 1:
        parser.error("--requests is at least 4, --clients at least 1, --bad from 0 to 1")
    from mmgl_tf.modes.exchange.serve_check import newest_version

    version = newest_version(chosen.model)
    if version is None:
        parser.error(f"--model={chosen.model} holds no version; expected e.g. RUN/export/mmgl")
    facts = json.loads((version / "model.json").read_text())
    traffic = Traffic(chosen.requests, chosen.clients, chosen.bad, chosen.seed)
    embed = _embedder(str(version), facts, chosen.run)
    name, tolerance = Path(chosen.model).resolve().name, TOLERANCE[facts["precision"]]
    tally = run_load(chosen.model, name, embed, facts["streams"] == "two", traffic, tolerance)
    print("\n".join(table(tally, traffic)))
    print(*(f"  {problem}" for problem in (tally.wrong + tally.lost)[:10]), sep="\n", end="", file=sys.stderr)
    return 0 if tally.fine(chosen.requests) else 1


if __name__ == "__main__":
    sys.exit(main())
