"""Pictures of two-view methods: the views of a batch, and whom a view's nearest other view shows."""

import numpy as np

from mmgl_tf.pipelines.records import MODALITIES
from mmgl_tf.visualization.image_rows import image_rows

SHOWN = 6  # images of each modality


def batch_pictures(batch, scale):
    """{"two_views": uint8 [H, W, 3]}; arguments as `PretrainingModel.batch_pictures`."""
    rows = {
        name: np.concatenate([batch[f"{m}{suffix}"][:SHOWN] for m in MODALITIES])
        for name, suffix in (("first view", ""), ("second view", "_2"))
    }
    notes = (f"The first {SHOWN} visible and {SHOWN} infrared images of a batch, twice.",)
    return {"two_views": image_rows(rows, title="What is compared", notes=notes, scale=scale)}


def probe_pictures(found, batch, source, scale):
    """{"partners": uint8 [H, W, 3]}: for some images the nearest second view, right or wrong.

    Args:
        found: of `TwoViewModel.probed`, arrays.
        batch: arrays, as in a batch.
        source: what the images are.
        scale: of their normalisation.
    """
    count = len(batch["visible"])
    rows, right = {"first view": [], "nearest\nsecond view": []}, []
    for number, modality in enumerate(MODALITIES):
        own = slice(number * count, (number + 1) * count)
        first, second = (_unit(found[name][own]) for name in ("projection", "projection_2"))
        nearest = (first @ second.T).argmax(axis=1)
        rows["first view"].append(batch[modality][:SHOWN])
        rows["nearest\nsecond view"].append(batch[f"{modality}_2"][nearest[:SHOWN]])
        right.append(nearest[:SHOWN] == np.arange(min(SHOWN, count)))
    rows = {name: np.concatenate(images) for name, images in rows.items()}
    notes = (
        f"The first {SHOWN} {source} of each modality; the nearest is looked for among the second views of "
        f"all {count} of that modality. Green: it shows the same image.",
    )
    frames = {"nearest\nsecond view": np.concatenate(right)}
    title = "Is a view recognised in another one?"
    return {"partners": image_rows(rows, title=title, notes=notes, scale=scale, frames=frames)}


def _unit(rows):
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
