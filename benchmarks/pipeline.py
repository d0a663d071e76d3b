"""Images per second and core of the training input pipeline, beside a PyTorch `DataLoader` with Pillow.

    python -m benchmarks.pipeline [--images 256] [--batches 8] [--rounds 5] [--only "two views"]

Rows named "two views" count views: two of each image, cropped, resized, jittered and blurred as SimCLR's.

One process pinned to one core, one thread in every library, measured in processor time. All candidates
take turns within a round, so that a busy neighbour slows them alike; a ratio is the median over the
rounds, with [least, greatest].
Expected on an idle core: cached chain at least 3.5 times the cached peer, uncached at least 1.5 times, two
views at least twice.
"""

import argparse
import dataclasses
import importlib.util
import os
import statistics
import tempfile
import time
import types

from benchmarks.median_and_range import median_and_range

SETTINGS = {
    "OMP_NUM_THREADS": "1",
    "TF_NUM_INTRAOP_THREADS": "1",
    "TF_NUM_INTEROP_THREADS": "1",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "CUDA_VISIBLE_DEVICES": "",
}
HEIGHT, WIDTH, STRIPES, BATCH = 288, 144, 6, 48
# So small that next to nothing but the interpreter's work is left.
TINY = (24, 12)


def _pin():
    """One core, one thread; before the libraries are imported, as they count cores then."""
    os.environ.update(SETTINGS)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


def draw_textures(directory: str, number: int, channels: int, seed: int) -> list[str]:
    """Writes JPEG files of random blurred noise, 100-200 pixels wide and 250-500 high.

    Args:
        directory: existing directory.
        number: files.
        channels: 3, or 1 for three equal channels, as infrared cameras deliver.
        seed: seed of the textures.

    Returns:
        Their paths.
    """
    import cv2
    import numpy as np
    from PIL import Image

    rng = np.random.default_rng(seed)
    paths = []
    for index in range(number):
        height, width = int(rng.integers(250, 501)), int(rng.integers(100, 201))
        image = rng.integers(0, 256, (height, width, channels), np.uint8)
        image = cv2.GaussianBlur(image, (0, 0), 4).reshape(height, width, channels).astype(np.float32)
        image = np.clip((image - 128) * 6 + 128, 0, 255).astype(np.uint8)
        image = np.repeat(image, 3 // channels, axis=2)
        paths.append(os.path.join(directory, f"{channels}_{index:04d}.jpg"))
        Image.fromarray(image).save(paths[-1], quality=90)
    return paths


def _stores(paths, grey, cached, directory, size=(HEIGHT, WIDTH)):
    from mmgl_tf.pipelines.images.image_store import open_store
    from mmgl_tf.pipelines.records import INFRARED, VISIBLE, Sample

    return [
        open_store(tuple(Sample(path, None, None, modality) for path in part), *size, cached, directory)
        for modality, part in ((VISIBLE, paths), (INFRARED, grey))
    ]


def _ours(stores, number, warp="pil"):
    """A function that makes a number of training batches; each has 2 * BATCH images."""
    from mmgl_tf.flags.config import options_type
    from mmgl_tf.pipelines.batches.recipe import mmgl_recipe

    return _made(stores, mmgl_recipe(options_type("mmgl")(warp=warp), STRIPES), number)


def alike_views():
    """The settings of two views that are made alike, at their defaults."""
    from mmgl_tf.flags.methods.shared.views import AlikeViews, Views

    return types.SimpleNamespace(**dataclasses.asdict(Views()), **dataclasses.asdict(AlikeViews()))


def _two_views(stores, number):
    """The same of two symmetric views of each image: SimCLR's batches."""
    from mmgl_tf.pipelines.augmentation.person_views import person_views
    from mmgl_tf.pipelines.batches.recipe import Recipe, each_modality

    return _made(stores, Recipe(each_modality(person_views(alike_views(), asymmetric=False))), number)


def _made(stores, recipe, number):
    from mmgl_tf.pipelines.batches.build import training_dataset
    from mmgl_tf.pipelines.batches.plans import image_plan

    # One data set for all rounds, as for all epochs of a run: its buffers are allocated once.
    return training_dataset(stores, recipe, image_plan(stores, BATCH, 0), 0, number, threads=1).__iter__


def _decoding(store, number, load):
    """A function that makes a number of groups of BATCH decoded and resized images."""

    def groups():
        for group in range(number):
            yield [load(index % len(store)) for index in range(group * BATCH, (group + 1) * BATCH)]

    return groups


def _rate(batches, images):
    """Images per second of processor time, all threads of the process together.

    Processor time, not the clock's: with one core and one thread both are equal on an idle machine, and
    on a busy one only the former says what a core can do. `batches` is used up, so that what is prepared
    ahead is counted too.
    """
    start = time.process_time()
    number = sum(1 for _ in batches)
    return number * images / (time.process_time() - start)


def _candidates(directory, files_each, number):
    """name -> (function that makes `number` batches, images in a batch); peers only with PyTorch."""
    colour = draw_textures(directory, files_each, 3, seed=0)
    grey = draw_textures(directory, files_each, 1, seed=1)
    cache = os.path.join(directory, "cache")
    mixed = _stores(colour, grey, True, cache)
    rgb = _stores(colour, colour, True, cache)
    files = _stores(colour, grey, False, cache)
    files_rgb = _stores(colour, colour, False, cache)
    candidates = {
        "cached": (_ours(mixed, number), 2 * BATCH),
        "cached, all RGB": (_ours(rgb, number), 2 * BATCH),
        "cached, all RGB, warp=fast": (_ours(rgb, number, "fast"), 2 * BATCH),
        "uncached": (_ours(files, number), 2 * BATCH),
        "uncached, all RGB": (_ours(files_rgb, number), 2 * BATCH),
        "two views": (_two_views(mixed, number), 4 * BATCH),
        "two views, all RGB": (_two_views(rgb, number), 4 * BATCH),
        "decode and resize only": (_decoding(files[0], number, lambda index: files[0][index]), BATCH),
        "cached, {}x{}".format(*TINY): (
            _ours(_stores(colour, grey, True, cache, TINY), number),
            2 * BATCH,
        ),
    }
    if importlib.util.find_spec("torch") is None:
        return candidates
    import torch

    from benchmarks.peers.pipeline import load, peer_loader
    from benchmarks.peers.two_views import two_views_loader

    torch.set_num_threads(1)
    peer = (HEIGHT, WIDTH, STRIPES, 2 * BATCH)
    views = (alike_views(), HEIGHT, WIDTH, 2 * BATCH, number)
    return candidates | {
        "peer, cached": (peer_loader(colour + grey, *peer, number=number, cached=True), 2 * BATCH),
        "peer, uncached": (peer_loader(colour + grey, *peer, number=number, cached=False), 2 * BATCH),
        "peer, two views": (two_views_loader(colour, grey, *views), 4 * BATCH),
        "peer, two views, all RGB": (two_views_loader(colour + colour, [], *views), 4 * BATCH),
        "peer, decode and resize only": (
            _decoding(colour, number, lambda index: load(colour[index], HEIGHT, WIDTH)),
            BATCH,
        ),
    }


PEERS = {
    "cached": "peer, cached",
    "cached, all RGB": "peer, cached",
    "cached, all RGB, warp=fast": "peer, cached",
    "uncached": "peer, uncached",
    "uncached, all RGB": "peer, uncached",
    "two views": "peer, two views",
    "two views, all RGB": "peer, two views, all RGB",
    "decode and resize only": "peer, decode and resize only",
}


def main():
    """Measures and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--images", type=int, default=256, help="files per modality, at least 96")
    parser.add_argument("--batches", type=int, default=8, help="made by each candidate in each round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="", help="measure what has this in its name")
    arguments = parser.parse_args()
    _pin()
    with tempfile.TemporaryDirectory() as directory:
        candidates = _candidates(directory, max(arguments.images, 2 * BATCH), arguments.batches)
        candidates = {name: pair for name, pair in candidates.items() if arguments.only in name}
        rates = {name: [] for name in candidates}
        for turn in range(1 + arguments.rounds):
            for name, (make, images) in candidates.items():
                rate = _rate(make(), images)
                if turn:  # the first round warms up
                    rates[name].append(rate)
    _report(rates)


def _report(rates):
    print(f"Training input pipeline: {HEIGHT}x{WIDTH}, {BATCH} + {BATCH} images, one core, one thread")
    print("Each image is cropped, mixed by AugMix and erased, or made two views of.")
    print("Unless it says all RGB, half of the images are grey (infrared), as in a real batch.\n")
    print(f"{'':32s}{'images/s':>9s}   ratio to peer [least, greatest]")
    for name, values in rates.items():
        line = f"{name:32s}{statistics.median(values):9.0f}"
        peer = rates.get(PEERS.get(name, ""))
        if peer:
            ratios = [ours / theirs for ours, theirs in zip(values, peer, strict=True)]
            line += f"   {median_and_range(ratios)}"
        print(line)
    if any("{}x{}".format(*TINY) in name for name in rates):
        print(
            "\nAt {}x{} pixels nearly all is the interpreter's work, which one thread of a process does at a "
            "time:\nabout what one process can make, whatever its cores and the size of the images.".format(
                *TINY
            )
        )
    if not any(name.startswith("peer") for name in rates):
        print("\nThe peer, a PyTorch DataLoader with Pillow, was skipped: PyTorch is not installed.")
    else:
        print(
            "\nPeer: PyTorch DataLoader (num_workers=0) with Pillow, doing the same work on three channels."
        )


if __name__ == "__main__":
    main()
