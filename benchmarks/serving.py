"""How fast an exported model answers, beside the same network in PyTorch, ONNX Runtime and OpenVINO.

    python -m benchmarks.serving [--backbone resnet50] [--size 288x144] [--stream two] [--rounds 5] [--quick]

The model is written by the exporter's own function and loaded by TensorFlow's session loader, as TF Serving
does. The peers have the same weights and get visible images only, for which they need no second stem and no
choice between stems. Each is measured from JPEG files on (peers decode with Pillow) and from decoded images
on. Everything runs pinned to one core in one thread, and the benchmark stops where embeddings differ.

All take turns within a round. Images/s and ratios are of processor time, which other processes do not count
in, ratios per round; latencies are of the clock, as a client has them, so they need a quiet machine.
The aims: float32 at least 0.9 of ONNX Runtime, bfloat16 at batch 8 at least 0.9 of OpenVINO.
"""

import argparse
import importlib
import os
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import tensorflow as tf

from benchmarks.median_and_range import median_and_range
from benchmarks.peers import serving as serving_peer
from benchmarks.serving_inputs import Photographs, drawn_photographs, settled_embedder
from mmgl_tf.backbones import BACKBONES
from mmgl_tf.serving.inference_network import PRECISIONS, InferenceNetwork
from mmgl_tf.serving.saved_model import write_saved_model
from mmgl_tf.serving.session_model import SessionModel

BATCHES = (1, 8, 32)
PEERS = {"PyTorch": ("torch",), "ONNX Runtime": ("onnxruntime", "onnx"), "OpenVINO": ("openvino", "onnx")}
WITHOUT_BFLOAT16 = ("ONNX Runtime",)  # its CPU kernels for convolutions are float32
# Greatest distance between our and a peer's embedding (unit length) of an image. Decoders differ by one
# level in a fifth of the values; bfloat16 keeps 8 bits, and each library rounds at other places. Different
# images are about 1.4 apart.
TOLERANCE = {
    ("decoded", "float32"): 1e-3,
    ("JPEG", "float32"): 0.2,
    ("decoded", "bfloat16"): 0.3,
    ("JPEG", "bfloat16"): 0.3,
}


def missing_peers():
    """{name of a peer: the package that it lacks}."""
    missing = {}
    for name, packages in PEERS.items():
        for package in packages:
            try:
                importlib.import_module(package)
            except ImportError:
                missing.setdefault(name, package)
    return missing


def peers(embedder, model, shape, precision, missing):
    """{name: function of decoded images}, of those that are installed and know the precision."""
    make = {
        "PyTorch": lambda: serving_peer.torch_peer(embedder, precision),
        "ONNX Runtime": lambda: serving_peer.onnxruntime_peer(model, shape),
        "OpenVINO": lambda: serving_peer.openvino_peer(model, shape, precision),
    }
    unable = {*missing, *(WITHOUT_BFLOAT16 if precision == "bfloat16" else ())}
    return {name: function() for name, function in make.items() if name not in unable}


def candidates(session, others, photographs, batch):
    """What is timed: {"JPEG" or "decoded": {name: function without arguments -> embeddings}}."""
    encoded = np.array(photographs.encoded[:batch], object)
    images = photographs.decoded[:batch]
    modality = {name: np.zeros(batch, np.int32) for name in _modality(session)}
    size = images.shape[1:3]

    def from_files(peer):
        return lambda: peer(serving_peer.decoded(encoded, *size))

    def from_images(peer):
        return lambda: peer(images)

    ours = {
        "JPEG": lambda: session.run({"image_bytes": encoded, **modality}, "serving_bytes")["embedding"],
        "decoded": lambda: session.run({"images": images, **modality}, "serving_images")["embedding"],
    }
    made = {"JPEG": from_files, "decoded": from_images}
    return {
        start: {"ours": ours[start]} | {name: made[start](peer) for name, peer in others.items()}
        for start in made
    }


def _modality(session):
    return {"modality"} & set(session.signatures["serving_bytes"]["inputs"])


def require_same(functions, start, precision):
    """Raises where a peer does not compute what we do.

    Args:
        functions: {name: function -> embeddings}, one of them "ours".
        start, precision: keys of `TOLERANCE`.

    Returns:
        {name of a peer: greatest distance between the embeddings of an image}.
    """
    ours, allowed = functions["ours"](), TOLERANCE[start, precision]
    found = {}
    for name, function in functions.items():
        found[name] = float(np.linalg.norm(function() - ours, axis=1).max())
        if not found[name] <= allowed:
            raise SystemExit(
                f"Embeddings of {name} are up to {found[name]:.2g} from ours ({start}, {precision}); at most "
                f"{allowed} is allowed. A ratio would mean nothing."
            )
    del found["ours"]
    return found


def alternate(functions, rounds):
    """Seconds of each function in each round; they take turns.

    Args:
        functions: {name: function without arguments}.
        rounds: turns of each, after two that do not count.

    Returns:
        {name: float [rounds, 2]}: of the clock, of the processor.
    """
    seconds = {name: [] for name in functions}
    for turn in range(rounds + 2):
        for name, function in functions.items():
            clock, processor = time.perf_counter(), time.process_time()
            function()
            if turn >= 2:
                seconds[name].append((time.perf_counter() - clock, time.process_time() - processor))
    return {name: np.array(values) for name, values in seconds.items()}


def row(seconds, batch):
    """The cells of one line: images/s of ours and of each peer, then the ratios ours / peer.

    Args:
        seconds: of `alternate`.
        batch: images of each call.

    Returns:
        List of text, "-" for a peer that was not measured.
    """
    processor = {name: values[:, 1] for name, values in seconds.items()}
    rates = [
        f"{batch / statistics.median(processor[name]):.1f}" if name in processor else "-"
        for name in ("ours", *PEERS)
    ]
    ratios = [
        median_and_range(processor[name] / processor["ours"]) if name in processor else "-" for name in PEERS
    ]
    return rates + ratios


def latencies(seconds):
    """The cells of one line: "p50 / p99" in ms of the clock, of ours and of each peer."""
    cells = []
    for name in ("ours", *PEERS):
        found = np.percentile(1000 * seconds[name][:, 0], (50, 99)) if name in seconds else None
        cells.append("-" if found is None else "{:.1f} / {:.1f}".format(*found))
    return cells


def _line(cells):
    return "| " + " | ".join(cells) + " |"


def _begin_table(title, heads):
    print(f"\n{title}\n\n{_line(heads)}\n{_line(['---'] * len(heads))}", flush=True)


def measure(embedder, photographs, rounds, calls, batches, missing):
    """Exports, compares and times; prints the tables.

    Args:
        embedder: built `Embedder`.
        photographs: `Photographs`, as many as the largest batch.
        rounds: turns at each batch size beyond 1.
        calls: turns at batch 1.
        batches: batch sizes, ascending from 1.
        missing: of `missing_peers`.
    """
    size = photographs.decoded.shape[1:3]
    network = InferenceNetwork(embedder, "neck")
    model = serving_peer.onnx_model(network) if {"ONNX Runtime", "OpenVINO"} - missing.keys() else None
    waits, agreed = [], []
    ratios = [f"ours / {name}" for name in PEERS]
    heads = ["precision", "from", "batch", "ours", *PEERS, *ratios]
    _begin_table("Images/s of processor time, ratio's median [least, most]:", heads)
    with tempfile.TemporaryDirectory() as directory:
        for precision in PRECISIONS:
            exported = Path(directory, precision)
            write_saved_model(InferenceNetwork(embedder, "neck", precision), *size, exported)
            with SessionModel(exported) as session:
                for batch in batches:
                    others = peers(embedder, model, (batch, *size), precision, missing)
                    found = candidates(session, others, photographs, batch)
                    for start, functions in found.items():
                        distances = require_same(functions, start, precision)
                        seconds = alternate(functions, calls if batch == 1 else rounds)
                        print(_line([precision, start, str(batch), *row(seconds, batch)]), flush=True)
                        if batch == 1:
                            waits.append([precision, start, *latencies(seconds)])
                        if batch == batches[-1]:
                            furthest = max(distances.values(), default=0.0)
                            agreed.append(f"{precision}, {start}: {furthest:.1e}")
    _begin_table("Latency at batch 1, p50 / p99 in ms:", ["precision", "from", "ours", *PEERS])
    for cells in waits:
        print(_line(cells))
    print(f"\nGreatest distance between our and a peer's embedding of an image: {'; '.join(agreed)}")


def _pin():
    """One core and one thread, before any library starts its threads."""
    os.environ |= {"OMP_NUM_THREADS": "1"}
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)


def _options(arguments):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--backbone", default="resnet50", choices=tuple(BACKBONES))
    parser.add_argument("--size", default="288x144", help="height x width, pixels")
    parser.add_argument("--stream", default="two", choices=("one", "two"), help="stems of the exported model")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each at batch 8 and 32")
    parser.add_argument("--calls", type=int, default=100, help="turns of each at batch 1")
    parser.add_argument("--quick", action="store_true", help="a tiny network, one round: does it work?")
    return parser.parse_args(arguments)


def main(arguments=None):
    """Measures and prints."""
    options = _options(arguments)
    batches, rounds, calls = BATCHES, options.rounds, options.calls
    if options.quick:
        options.backbone, options.size, batches, rounds, calls = "resnet10", "96x48", (1, 2), 1, 1
    else:
        _pin()
    missing = missing_peers()
    for name, package in missing.items():
        print(f"{name} skipped: {package} is not installed (.venv/bin/pip install {package}).")
    if "PyTorch" not in missing:
        importlib.import_module("torch").set_num_threads(1)
    height, width = (int(number) for number in options.size.split("x"))
    encoded = drawn_photographs(max(*batches, 8))
    images = serving_peer.decoded(encoded, height, width)
    embedder = settled_embedder(options.backbone, options.stream, images[:8])
    print(
        f"{options.backbone}, {options.stream}-stream, visible images of {height}x{width}, one core; "
        f"TensorFlow {tf.__version__}"
    )
    photographs = Photographs(encoded, images)
    measure(embedder, photographs, rounds, calls, batches, missing)


if __name__ == "__main__":
    main()
