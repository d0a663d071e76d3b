"""Pictures of supervised pre-training: a batch with its classes, and whom the nearest image shows."""

import numpy as np

from mmgl_tf.visualization.image_rows import image_rows

SHOWN = 10


def batch_pictures(batch, modalities, scale):
    """{"labelled_batch": uint8 [H, W, 3]}.

    Args:
        batch: arrays: images by modality, and labels, a row for each.
        modalities: names of those that are shown, in the order of the labels.
        scale: (mean, standard deviation) of the images' normalisation.
    """
    sides = np.split(batch["labels"], len(modalities))
    rows = {m: batch[m][:SHOWN] for m in modalities}
    captions = {
        m: [f"class {label}" for label in side[:SHOWN]] for m, side in zip(modalities, sides, strict=True)
    }
    notes = (f"The first {SHOWN} images of a batch, augmented; erased boxes have the mean colour.",)
    return {
        "labelled_batch": image_rows(
            rows, title="What is told apart", notes=notes, scale=scale, captions=captions
        )
    }


def probe_pictures(found, batch, modalities, source, scale):
    """{"nearest_images": uint8 [H, W, 3]}: for some images the nearest other one, of the same person or not.

    Args:
        found: of `Supervised.probed`, arrays.
        batch, modalities, scale: as above.
        source: what the images are.
    """
    rows, frames = {}, {}
    sides = [np.split(array, len(modalities)) for array in (found["features"], batch["labels"])]
    for modality, features, labels in zip(modalities, *sides, strict=True):
        if len(labels) < 2:
            continue
        nearest = _nearest_other(features)
        # Of people with a second image here: the others cannot be found.
        known = [i for i, label in enumerate(labels) if (labels == label).sum() > 1] or range(len(labels))
        chosen = np.array(known)[np.linspace(0, len(known) - 1, min(SHOWN, len(known))).astype(int)]
        rows[modality] = batch[modality][chosen]
        rows[f"nearest\n{modality}"] = batch[modality][nearest[chosen]]
        frames[f"nearest\n{modality}"] = labels[nearest[chosen]] == labels[chosen]
    if not rows:
        return {}
    few = min(len(images) for images in rows.values())
    rows = {name: images[:few] for name, images in rows.items()}
    notes = (
        f"Some {source}, and the nearest other one among {len(sides[1][0])} by the pooled features. Green: "
        "it shows the same person.",
    )
    title = "Are images of a person alike?"
    return {"nearest_images": image_rows(rows, title=title, notes=notes, scale=scale, frames=frames)}


def _nearest_other(features):
    """The place of the nearest other row by the cosine, int [n]."""
    unit = features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
    similarity = unit @ unit.T
    np.fill_diagonal(similarity, -np.inf)
    return similarity.argmax(axis=1)
