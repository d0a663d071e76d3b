"""The picture of a search: queries and what was found first, nobody being known."""

import numpy as np
import tensorflow as tf

from mmgl_tf.modes.search.embed_files import escaped, modality_name
from mmgl_tf.pipelines.decode import decode_image
from mmgl_tf.visualization.ranked_lists import IMAGE_PIXELS, ranked_lists

PLACES = 10  # of a list on the sheet, as in the paper's Figure 5
_LETTERS = 16  # of a path below an image


def search_picture(queries, gallery, found, shown_queries):
    """One row a query; uint8 [H, W, 3].

    Args:
        queries, gallery: `mmgl_tf.modes.search.embedded_files.Embedded`.
        found: `mmgl_tf.retrieval.nearest.Nearest`.
        shown_queries: the first so many are shown.
    """
    shown = min(shown_queries, len(queries.paths))
    places = found.positions[:shown, :PLACES]
    size = _size(gallery.about["source"])
    all_of = "all" if shown == len(queries.paths) else f"the first {shown} of"
    more = f", the first {places.shape[1]} places" if places.shape[1] < found.positions.shape[1] else ""
    captions = [
        [
            f"{similarity:.3f}\n{_short(gallery.paths[position])}\n{modality_name(int(gallery.modality[position]))}"
            for position, similarity in zip(row, values, strict=True)
        ]
        for row, values in zip(places.tolist(), found.similarities[:shown, :PLACES].tolist(), strict=True)
    ]
    return ranked_lists(
        np.stack([_picture(queries.file(row), size) for row in range(shown)]),
        np.stack([[_picture(gallery.file(position), size) for position in row] for row in places.tolist()]),
        None,
        [
            f"{_short(queries.paths[row])}\n{modality_name(int(queries.modality[row]))}"
            for row in range(shown)
        ],
        captions,
        split=f"gallery of {len(gallery.paths)} images; numbers are cosine similarities, -1 to 1",
        rule=f"{all_of} {len(queries.paths)} queries, in the order in which they are listed{more}",
        title="What is most similar",
    )


def _size(facts):
    """(height, width) in pixels on the sheet, of the model's proportions."""
    return IMAGE_PIXELS, max(1, round(IMAGE_PIXELS * facts["width"] / facts["height"]))


def _picture(path, size):
    """An image as the sheet shows it; a grey cross where it is not there any more."""
    try:
        with tf.device("CPU:0"):
            return decode_image(tf.constant(path.read_bytes()), *size).numpy()
    except (OSError, ValueError, tf.errors.OpError):
        blank = np.full((*size, 3), 224, np.uint8)
        rows = np.arange(size[0])
        columns = rows * (size[1] - 1) // max(1, size[0] - 1)
        blank[rows, columns] = blank[rows, size[1] - 1 - columns] = 160
        return blank


def _short(path):
    """The end of a path, its file's name and directory if they fit, in one line."""
    end = "/".join(path.split("/")[-2:])
    name = "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in escaped(end))
    return name if len(name) <= _LETTERS else "…" + name[1 - _LETTERS :]
