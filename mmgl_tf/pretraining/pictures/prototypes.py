"""Which images share a prototype: the clusters that SwAV made."""

import numpy as np

from mmgl_tf.pipelines.records import MODALITIES
from mmgl_tf.visualization.image_rows import image_rows

PROTOTYPES, IMAGES = 5, 10


def probe_pictures(found, batch, source, scale):
    """{"prototypes": uint8 [H, W, 3]}: a row for each of the most used prototypes, its best images first.

    Args:
        found: of `SwAv.probed`, arrays; `scores` [n, K], visible rows first.
        batch: arrays, as in a batch.
        source: what the images are.
        scale: of their normalisation.
    """
    images = np.concatenate([batch[m] for m in MODALITIES])
    chosen = found["scores"].argmax(axis=1)
    used = np.bincount(chosen, minlength=found["scores"].shape[1])
    rows = {}
    for prototype in np.argsort(-used, kind="stable")[:PROTOTYPES]:
        own = np.flatnonzero(chosen == prototype)
        if not len(own):
            break
        best = own[np.argsort(-found["scores"][own, prototype], kind="stable")][:IMAGES]
        rows[f"prototype {prototype}\n{used[prototype]} images"] = images[best]
    notes = (
        f"{np.count_nonzero(used)} of {len(used)} prototypes are the nearest one of some of {len(images)} "
        f"{source}; the most used ones, and the images nearest to them.",
    )
    return {"prototypes": image_rows(rows, title="What shares a prototype", notes=notes, scale=scale)}
