"""Hand-made descriptors: what finds people without learning, the floor under every result.

Legend: n images of H x W pixels, RGB, 0 .. 255.
"""

import cv2
import numpy as np

STRIPES = 6


def mean_colour(images):
    """Mean of each channel over six stripes: [n, H, W, 3] -> [n, 18]."""
    return np.asarray(_striped(images), np.float32).mean(2).reshape(len(images), -1)


def colour_histogram(images):
    """Eight-bin histogram of each channel over six stripes, square root: [n, H, W, 3] -> [n, 144]."""
    bins = np.minimum(np.asarray(_striped(images)) / 32, 7.999).astype(np.int64)
    counts = np.stack([(bins == level).mean(2) for level in range(8)], -1)
    return np.sqrt(counts).reshape(len(images), -1)


def grey_pixels(images):
    """Grey values at 24 x 12: [n, H, W, 3] -> [n, 288]."""
    grey = [np.asarray(image, np.float32).mean(-1) for image in images]
    return np.stack([cv2.resize(image, (12, 24), interpolation=cv2.INTER_AREA).ravel() for image in grey])


def gradient_histogram(images, cell=8):
    """HOG: nine unsigned orientations in square cells, blocks of 2 x 2 cells in unit length.

    Args:
        images: [n, H, W, 3], 0 .. 255; rows and columns that fill no cell are left out below and right.
        cell: side of a cell in pixels.

    Returns:
        float32 [n, blocks * 36].
    """
    grey = np.asarray(images, np.float32).mean(-1)
    rows, columns = grey.shape[1] // cell, grey.shape[2] // cell
    if min(rows, columns) < 2:
        raise ValueError(
            f"Images of {grey.shape[1]} x {grey.shape[2]} pixels have {rows} x {columns} cells of "
            f"{cell} pixels; expected 2 x 2 at least. Take smaller cells or larger images."
        )
    across = np.zeros_like(grey)
    down = np.zeros_like(grey)
    across[:, :, 1:-1] = grey[:, :, 2:] - grey[:, :, :-2]
    down[:, 1:-1] = grey[:, 2:] - grey[:, :-2]
    size = np.hypot(across, down)
    place = np.arctan2(down, across) % np.pi * (9 / np.pi) - 0.5
    low = np.floor(place)
    upper_share = place - low
    low = low.astype(np.int64)
    cells = np.empty((len(grey), rows, columns, 9), np.float32)
    for bin_ in range(9):
        vote = size * ((low % 9 == bin_) * (1 - upper_share) + ((low + 1) % 9 == bin_) * upper_share)
        vote = vote[:, : rows * cell, : columns * cell]
        cells[..., bin_] = vote.reshape(len(grey), rows, cell, columns, cell).sum((2, 4))
    blocks = np.concatenate([cells[:, :-1, :-1], cells[:, :-1, 1:], cells[:, 1:, :-1], cells[:, 1:, 1:]], -1)
    blocks = blocks / (np.linalg.norm(blocks, axis=-1, keepdims=True) + 1e-3 * cell * cell)
    blocks = np.minimum(blocks, 0.2)
    blocks = blocks / (np.linalg.norm(blocks, axis=-1, keepdims=True) + 1e-6)
    return blocks.reshape(len(grey), -1)


# Rows of a table: name -> function of images [n, H, W, 3] that gives features [n, D].
DESCRIPTORS = {
    "mean colour, 6 stripes": mean_colour,
    "colour histogram, 6 stripes": colour_histogram,
    "grey pixels 24 x 12": grey_pixels,
    "HOG, 9 bins, 16-pixel cells": lambda images: gradient_histogram(images, 16),
    "HOG, 9 bins, 8-pixel cells": lambda images: gradient_histogram(images, 8),
}


def centred(features):
    """Features without the mean of their modality (which favours them), in unit length.

    Args:
        features: [n, D] of one modality.

    Returns:
        float32 [n, D]; zeros for what equals the mean.
    """
    features = np.asarray(features, np.float64)
    features = features - features.mean(0)
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    return np.divide(features, lengths, out=np.zeros_like(features), where=lengths > 1e-9).astype(np.float32)


def _striped(images):
    """[n, H, W, 3] -> [n, 6, pixels of a stripe, 3]; rows beyond the last full stripe are left out."""
    images = np.asarray(images)
    number, height, width, channels = images.shape
    rows = height // STRIPES
    return images[:, : rows * STRIPES].reshape(number, STRIPES, rows * width, channels)
