"""Image files to try an exported model with."""

import functools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf

from mmgl_tf.pipelines.decode import decode_pixels
from mmgl_tf.pipelines.records import INFRARED, VISIBLE

OF_EACH = 8  # test images of each modality that are looked at


@dataclass(frozen=True)
class Examples:
    """Image files.

    Attributes:
        encoded: their bytes.
        modality: 0 or 1 for each.
        what: where they are from, for a sentence.
    """

    encoded: list
    modality: list
    what: str


def test_examples(config, splits):
    """Some readable test images of a data set, spread over it, or None where there are none.

    Args:
        config: `mmgl_tf.flags.config.Config`.
        splits: `mmgl_tf.pipelines.records.DatasetSplits` or None.
    """
    if splits is None:
        return None
    samples = splits.query.samples + splits.gallery.samples
    encoded, modality = [], []
    for code in (VISIBLE, INFRARED):
        paths = [sample.path for sample in samples if sample.modality == code]
        chosen = sorted({round(place) for place in np.linspace(0, len(paths) - 1, OF_EACH)}) if paths else []
        found = [content for content in (_readable(paths[place]) for place in chosen) if content]
        encoded += found
        modality += [code] * len(found)
    return Examples(encoded, modality, f"test images of {config.data.dataset}") if encoded else None


def would_draw(config):
    """Whether reading the data set would draw the built-in world first, thousands of images.

    Args:
        config: `mmgl_tf.flags.config.Config`.
    """
    if config.data.dataset != "synthetic":
        return False
    from mmgl_tf.pipelines.synthetic import WorldSpec

    world = Path(config.data.cache_dir) / "worlds" / WorldSpec.from_config(config.world).name
    return not (world / "world.json").is_file()


@functools.cache
def drawn_examples():
    """Images of the built-in world's people, free to be handed on with a model."""
    from mmgl_tf.pipelines.synthetic import WorldSpec, draw_image

    world = WorldSpec()
    cameras = {1: VISIBLE, 3: INFRARED, 4: VISIBLE, 6: INFRARED}
    pairs = [(identity, camera) for identity in (1, 2) for camera in cameras]
    pixels = [draw_image(world, identity, camera, 1) for identity, camera in pairs]
    encoded = [tf.io.encode_jpeg(image, quality=90).numpy() for image in pixels]
    return Examples(encoded, [cameras[camera] for _, camera in pairs], "drawn images")


def _readable(path):
    """The bytes of an image file, or None where it cannot be decoded."""
    try:
        content = Path(path).read_bytes()
        decode_pixels(content)
    except (OSError, tf.errors.OpError):
        return None
    return content
