"""What finds people across modalities in the drawn world without learning: python -m benchmarks.descriptors

Prints ranks and mAP (per cent) of hand-crafted descriptors on the test identities. The world is a fair
stage only while these stay weak: colour at chance (infrared reflectance is independent of it), grey pixels
near chance, and gradient histograms the stiff baseline that a network has to beat.
"""

import argparse
import dataclasses
from pathlib import Path

import cv2
import numpy as np

from mmgl_tf.flags.config import Data, World
from mmgl_tf.pipelines.synthetic import read_synthetic
from mmgl_tf.retrieval.descriptors import DESCRIPTORS, centred, colour_histogram
from mmgl_tf.retrieval.labelled import LabelledFeatures
from mmgl_tf.retrieval.protocols import RANKS, evaluate

HEIGHT, WIDTH = 96, 48


def _load(samples):
    """(uint8 [n, 96, 48, 3], identities, cameras)."""
    images = [cv2.imread(sample.path, cv2.IMREAD_COLOR_RGB) for sample in samples]
    images = [cv2.resize(image, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA) for image in images]
    identities = np.array([sample.identity for sample in samples])
    return np.stack(images), identities, np.array([sample.camera for sample in samples])


def main():
    """Draws or finds the world, then prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--world_seed", type=int, default=0)
    parser.add_argument("--test_identities", type=int, default=200)
    parser.add_argument("--cache_dir", default="cache", type=Path)
    arguments = parser.parse_args()
    world = World(
        world_seed=arguments.world_seed,
        world_test_identities=arguments.test_identities,
    )
    splits = read_synthetic(Data(cache_dir=str(arguments.cache_dir)), world)
    query, *query_labels = _load(splits.query.samples)
    gallery, *gallery_labels = _load(splits.gallery.samples)
    protocol = splits.gallery.protocol
    print(
        f"{splits.root}: infrared -> visible, {len(query)} queries,"
        f" {arguments.test_identities} unseen identities,"
    )
    print(
        f"mean of {protocol.trials} single-shot galleries, {HEIGHT} x {WIDTH} pixels,"
        " mean of each modality removed, cosine"
    )
    print()
    print("| descriptor | " + " | ".join(f"Rank-{k}" for k in RANKS) + " | mAP |")
    print("|---" * (len(RANKS) + 2) + "|")
    rng = np.random.default_rng(0)
    rows = {"random vectors (chance)": lambda images: rng.standard_normal((len(images), 64)), **DESCRIPTORS}
    for name, describe in rows.items():
        result = evaluate(
            LabelledFeatures(centred(describe(query)), *query_labels),
            LabelledFeatures(centred(describe(gallery)), *gallery_labels),
            protocol,
        )
        _print_row(name, result)
    # The same colours do find people within the visible cameras: the world is not noise.
    fifth = gallery_labels[1] == 5
    features = colour_histogram(gallery)
    sides = (
        LabelledFeatures(centred(features[side]), *(labels[side] for labels in gallery_labels))
        for side in (fifth, ~fifth)
    )
    others = dataclasses.replace(protocol, gallery_cameras={"others": (1, 2, 4)}, excluded_cameras={})
    _print_row("control: visible (cam 5) -> visible, colour histogram", evaluate(*sides, others))


def _print_row(name, result):
    values = [result.mean(metric) for metric in (*(f"rank{k}" for k in RANKS), "mAP")]
    print(f"| {name} | " + " | ".join(f"{100 * value:.1f}" for value in values) + " |", flush=True)


if __name__ == "__main__":
    main()
