"""Whether a loss of two views compares the images of both modalities, or those of each by itself.

Legend: b images of one modality.
"""

import tensorflow as tf

SCOPES = ("mixed", "per_modality")


def by_scope(loss, scope, *views):
    """A loss of the whole batch, or the mean of its values on visible and on infrared images.

    In a mixed batch the other modality's images are negatives that a glance tells apart (NT-Xent), they take
    prototypes for themselves (Sinkhorn), and the difference of the modalities counts as variance (Barlow
    Twins). `per_modality` leaves that out. A loss that is a mean over images, such as a negative cosine, is
    the same either way.

    Args:
        loss: function of as many arguments as there are `views`; returns scalars, in any nest of tuples,
            lists and dicts.
        scope: one of `SCOPES`.
        *views: tensors [2b, ...], visible rows first, or nests of such.

    Returns:
        What `loss` returns; for "per_modality" every scalar is the mean of the two modalities'.

    Raises:
        ValueError: an unknown scope, or an odd number of rows to split.
    """
    if scope not in SCOPES:
        raise ValueError(f"by_scope got scope={scope!r}; expected one of {', '.join(SCOPES)}.")
    if scope == "mixed":
        return loss(*views)
    visible = loss(*tf.nest.map_structure(lambda rows: _halves(rows)[0], views))
    infrared = loss(*tf.nest.map_structure(lambda rows: _halves(rows)[1], views))
    return tf.nest.map_structure(lambda one, other: (one + other) / 2.0, visible, infrared)


def _halves(rows):
    rows = tf.convert_to_tensor(rows)
    if rows.shape[0] is not None and rows.shape[0] % 2:
        raise ValueError(
            f"by_scope got a tensor of shape {tuple(rows.shape)} to split by modality; expected as many "
            "infrared rows as visible ones. Pass scope='mixed' for images of one modality."
        )
    return tf.split(rows, 2, axis=0)
