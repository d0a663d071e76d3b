"""Encoded images of nothing in particular, for trying a server where no data set is at hand."""

import io

import numpy as np
from PIL import Image

FORMATS = ("JPEG", "PNG", "BMP")


def drawn_images(number, seed=0):
    """Smooth noise in several sizes and formats, every other one grey as infrared cameras' files are.

    Args:
        number: of images.
        seed: of the noise; the same images for the same seed.

    Returns:
        List of bytes.
    """
    dice = np.random.default_rng(seed)
    found = []
    for place in range(number):
        coarse = dice.integers(0, 256, (8, 4) if place % 2 else (8, 4, 3), np.uint8)
        size = (int(dice.integers(40, 121)), int(dice.integers(80, 241)))
        stream = io.BytesIO()
        image = Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)
        image.save(stream, FORMATS[place % len(FORMATS)])
        found.append(stream.getvalue())
    return found
