"""Pictures of colorization: lightness, true and predicted colours."""

import cv2
import numpy as np

from mmgl_tf.pipelines.augmentation.lab import rgb_of
from mmgl_tf.pretraining.colour_survey import EVERY
from mmgl_tf.visualization.image_rows import image_rows

SHOWN = 10


def places(count):
    """Which of some images are shown: `SHOWN` of them, or all, spread evenly, as neighbours are one person.

    Args:
        count: of the images.

    Returns:
        list of int.
    """
    return [number * count // min(SHOWN, count) for number in range(min(SHOWN, count))]


def batch_pictures(batch, scale):
    """{"colours_asked_for": uint8 [H, W, 3]}; arguments as `PretrainingModel.batch_pictures`."""
    chosen = places(len(batch["visible"]))
    lightness = _lightness(batch["visible"][chosen], scale)
    rows = {
        "what is shown": _painted(lightness),
        "what is\nasked for": _painted(lightness, batch["ab"][chosen]),
    }
    notes = ("Images of a batch. The colour is that of every fourth pixel, the lightness that of each.",)
    return {"colours_asked_for": image_rows(rows, title="The colours of a lightness", notes=notes)}


def probe_pictures(found, batch, source, scale):
    """{"predicted_colours": uint8 [H, W, 3]}.

    Args:
        found: of `Colorization.probed`, arrays.
        batch: arrays, as in a batch.
        source: what the images are.
        scale: of their normalisation.
    """
    chosen = places(len(batch["visible"]))
    lightness = _lightness(batch["visible"][chosen], scale)
    rows = {
        "lightness": _painted(lightness),
        "true colour": _painted(lightness, batch["ab"][chosen]),
        "predicted\ncolour": _painted(lightness, found["ab"]),
    }
    notes = (
        f"{len(chosen)} of {len(batch['visible'])} {source}. Colours are known, and predicted, at every "
        "fourth pixel; a prediction is the annealed mean over the bins.",
    )
    return {"predicted_colours": image_rows(rows, title="Colours from lightness alone", notes=notes)}


def _lightness(images, scale):
    """Network input -> L in 0..100, float32 [n, H, W]."""
    mean, std = scale
    return np.clip((images[..., 0] * std[0] + mean[0]) * 100.0, 0.0, 100.0).astype(np.float32)


def _painted(lightness, ab=None):
    """uint8 [n, H, W, 3] from lightness [n, H, W] and colours [n, h, w, 2]; without them in grey."""
    painted = []
    for number, light in enumerate(lightness):
        colour = np.zeros((*light.shape, 2), np.float32)
        if ab is not None:
            # Cell i is the colour of pixel i * EVERY, not of the cell's middle.
            rows, columns = (np.arange(length, dtype=np.float32) / EVERY for length in light.shape)
            at = np.meshgrid(columns, rows)
            colour = cv2.remap(
                ab[number].astype(np.float32), *at, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
            )
        painted.append(rgb_of(np.concatenate([light[..., None], colour], axis=-1)))
    return np.stack(painted)
