"""What finds people across modalities in the drawn world without learning: python -m benchmarks.descriptors

Prints Rank-1, Rank-5, Rank-10 and mAP (per cent) of hand-made descriptors on the world's test identities. The
world is a fair stage only while these stay weak: colour at chance (infrared reflectance is independent of
colour), grey pixels near chance, and gradient histograms the stiff baseline that a network has to beat.
"""

import argparse
from pathlib import Path

import cv2
import numpy as np

from flags.config import Data, World
from pipelines.synthetic import read_synthetic

HEIGHT, WIDTH = 96, 48
STRIPES = 6
TRIALS = 10
EXCLUDED_CAMERA = {3: 2}  # cameras 2 and 3 stand at the same place


def mean_colour(images):
    """Mean of each channel over six stripes: [n, 18]."""
    striped = images.reshape(len(images), STRIPES, HEIGHT // STRIPES * WIDTH, 3)
    return striped.mean(2).reshape(len(images), -1)


def colour_histogram(images):
    """Eight-bin histogram of each channel over six stripes, square root: [n, 144]."""
    striped = images.reshape(len(images), STRIPES, HEIGHT // STRIPES * WIDTH, 3)
    bins = np.minimum(striped / 32, 7.999).astype(np.int64)
    counts = np.stack([(bins == level).mean(2) for level in range(8)], -1)
    return np.sqrt(counts).reshape(len(images), -1)


def grey_pixels(images):
    """Grey values at 24 x 12: [n, 288]."""
    return np.stack(
        [cv2.resize(image.mean(-1), (12, 24), interpolation=cv2.INTER_AREA).ravel() for image in images]
    )


def gradient_histogram(images, cell):
    """HOG: nine unsigned orientations in square cells, blocks of 2 x 2 cells in unit length.

    Args:
        images: float32 [n, 96, 48, 3].
        cell: side of a cell in pixels.

    Returns:
        float32 [n, blocks * 36].
    """
    grey = images.mean(-1)
    across = np.zeros_like(grey)
    down = np.zeros_like(grey)
    across[:, :, 1:-1] = grey[:, :, 2:] - grey[:, :, :-2]
    down[:, 1:-1] = grey[:, 2:] - grey[:, :-2]
    size = np.hypot(across, down)
    place = np.arctan2(down, across) % np.pi * (9 / np.pi) - 0.5
    low = np.floor(place)
    upper_share = place - low
    low = low.astype(np.int64)
    rows, columns = HEIGHT // cell, WIDTH // cell
    cells = np.empty((len(images), rows, columns, 9), np.float32)
    for bin_ in range(9):
        vote = size * ((low % 9 == bin_) * (1 - upper_share) + ((low + 1) % 9 == bin_) * upper_share)
        cells[..., bin_] = vote.reshape(len(images), rows, cell, columns, cell).sum((2, 4))
    blocks = np.concatenate([cells[:, :-1, :-1], cells[:, :-1, 1:], cells[:, 1:, :-1], cells[:, 1:, 1:]], -1)
    blocks = blocks / (np.linalg.norm(blocks, axis=-1, keepdims=True) + 1e-3 * cell * cell)
    blocks = np.minimum(blocks, 0.2)
    blocks = blocks / (np.linalg.norm(blocks, axis=-1, keepdims=True) + 1e-6)
    return blocks.reshape(len(images), -1)


def centred(features):
    """Features without their modality's mean (which favours them), in unit length."""
    features = np.asarray(features, np.float64)
    features = features - features.mean(0)
    return features / (np.linalg.norm(features, axis=1, keepdims=True) + 1e-12)


def draw_gallery(identities, cameras, trial):
    """Single-shot gallery of one trial: one image per identity and camera, as indices."""
    rng = np.random.default_rng(trial)
    chosen = []
    for identity in np.unique(identities):
        for camera in np.unique(cameras):
            found = np.flatnonzero((identities == identity) & (cameras == camera))
            if len(found):
                chosen.append(rng.choice(found))
    return np.array(chosen)


def score(similarity, query_identities, query_cameras, gallery_identities, gallery_cameras):
    """SYSU-MM01's metrics of one trial.

    Args:
        similarity: [Q, N], larger is nearer.
        query_identities, query_cameras: [Q].
        gallery_identities, gallery_cameras: [N].

    Returns:
        (Rank-1, Rank-5, Rank-10, mAP), 0..1. An identity counts once in the ranks, as published.
    """
    hits, precisions = np.zeros(3), []
    for row, identity, camera in zip(similarity, query_identities, query_cameras, strict=True):
        order = np.argsort(-row, kind="stable")
        order = order[gallery_cameras[order] != EXCLUDED_CAMERA.get(int(camera), 0)]
        ranked = gallery_identities[order]
        same = ranked == identity
        if not same.any():
            continue
        places = np.flatnonzero(same) + 1
        precisions.append(np.mean(np.arange(1, len(places) + 1) / places))
        before = len(np.unique(ranked[: places[0] - 1]))
        hits += before < np.array([1, 5, 10])
    return (*(hits / len(precisions)), float(np.mean(precisions)))


def evaluate(query, gallery, query_labels, gallery_labels):
    """Mean of `score` over the gallery draws; labels are (identities, cameras)."""
    rows = []
    for trial in range(TRIALS):
        chosen = draw_gallery(*gallery_labels, trial)
        labels = (gallery_labels[0][chosen], gallery_labels[1][chosen])
        rows.append(score(query @ gallery[chosen].T, *query_labels, *labels))
    return np.mean(rows, 0)


def _load(samples):
    images = [cv2.imread(sample.path, cv2.IMREAD_COLOR_RGB) for sample in samples]
    images = [cv2.resize(image, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA) for image in images]
    identities = np.array([sample.identity for sample in samples])
    return np.float32(images), (identities, np.array([sample.camera for sample in samples]))


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
    query, query_labels = _load(splits.query.samples)
    gallery, gallery_labels = _load(splits.gallery.samples)
    print(
        f"{splits.root}: infrared -> visible, {len(query)} queries,"
        f" {arguments.test_identities} unseen identities,"
    )
    print(
        f"mean of {TRIALS} single-shot galleries, {HEIGHT} x {WIDTH} pixels,"
        " mean of each modality removed, cosine"
    )
    print()
    print("| descriptor | Rank-1 | Rank-5 | Rank-10 | mAP |")
    print("|---|---|---|---|---|")
    rng = np.random.default_rng(0)
    rows = {
        "random vectors (chance)": lambda images: rng.standard_normal((len(images), 64)),
        "mean colour, 6 stripes": mean_colour,
        "colour histogram, 6 stripes": colour_histogram,
        "grey pixels 24 x 12": grey_pixels,
        "HOG, 9 bins, 16-pixel cells": lambda images: gradient_histogram(images, 16),
        "HOG, 9 bins, 8-pixel cells": lambda images: gradient_histogram(images, 8),
    }
    for name, describe in rows.items():
        result = evaluate(centred(describe(query)), centred(describe(gallery)), query_labels, gallery_labels)
        _print_row(name, result)
    # The same colours do find people within the visible cameras: the world is not noise.
    identities, cameras = gallery_labels
    fifth = cameras == 5
    features = colour_histogram(gallery)
    result = evaluate(
        centred(features[fifth]),
        centred(features[~fifth]),
        (identities[fifth], cameras[fifth]),
        (identities[~fifth], cameras[~fifth]),
    )
    _print_row("control: visible (cam 5) -> visible, colour histogram", result)


def _print_row(name, result):
    print(f"| {name} | " + " | ".join(f"{100 * value:.1f}" for value in result) + " |", flush=True)


if __name__ == "__main__":
    main()
