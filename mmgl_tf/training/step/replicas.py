"""What the replicas of one training step tell each other: the rows that the losses read, and gradients.

Under a `tf.distribute` strategy each replica sees its rows of the global batch. Losses that compare images
(cycle contrast, triplets) need all of them, so every replica gathers what the heads put out and computes the
same loss of the global batch. Hence the convention of this project: each replica differentiates its share of
that ONE global loss, the R-th part, and the gradients of a step are the SUM over replicas. Weights that act
on the gathered rows then have their gradient once, and not R times. A replica's own rows count in the shares
of all of them, which are equal: going back through the gathering, their gradient is multiplied by R.

Legend: R replicas, b images per modality on a replica, B = R b, F figures a row.
"""

import tensorflow as tf

from mmgl_tf.pipelines.records import MODALITIES

# Gradients travel in packs of so many bytes: one message a variable would cost more in latency than in
# bandwidth, one for all could not begin before the last gradient is there.
BYTES_PER_PACK = 32 * 2**20


def num_replicas():
    """R, a Python integer: that of the strategy in whose scope this is called."""
    return tf.distribute.get_strategy().num_replicas_in_sync


def share_of_loss(loss):
    """A replica's share of the global loss, to differentiate: see the head of this file."""
    return loss / num_replicas()


def images_in(batch):
    """b, the images per modality of a replica's batch; None where that is not known before it runs."""
    return next(batch[name] for name in MODALITIES if name in batch).shape[0]


def gather_rows(local, images=None):
    """The rows of all replicas, as one replica with the global batch would have them.

    One message for all tensors: an all-reduce of a matrix that is zero outside the own rows, as sums with
    zeros are exact. (`all_gather` costs two: it first asks for shapes, which are known here.)

    Args:
        local: {name: [2b, ...] or [b, ...]}, in replica context; visible rows first, or of one modality.
            Integers must be below 2**24.
        images: b; None = all have 2b rows.

    Returns:
        {name: [2B, ...] or [B, ...]} of the same types, visible rows of all replicas first. Its gradient with
        respect to `local` is R times the own rows of the upstream gradient: see the head of this file.

    Raises:
        ValueError: a tensor has neither b nor 2b rows.
    """
    halves = {name: _halves(name, value, images) for name, value in local.items()}
    if num_replicas() == 1:
        return dict(local)
    widths = {name: value.shape[1:].num_elements() for name, value in local.items()}
    dtype = tf.float64 if tf.float64 in {value.dtype for value in local.values()} else tf.float32
    rows = tf.concat(
        [
            tf.reshape(_side_by_side(tf.cast(local[name], dtype), halves[name]), [-1, halves[name] * width])
            for name, width in widths.items()
        ],
        axis=1,
    )
    parts = tf.split(_gathered(rows), [halves[name] * width for name, width in widths.items()], axis=1)
    return {
        name: tf.cast(_one_above_the_other(part, halves[name], value.shape[1:]), value.dtype)
        for (name, value), part in zip(local.items(), parts, strict=True)
    }


def _halves(name, value, images):
    """How many modalities' rows a tensor has, 1 or 2."""
    rows = value.shape[0]
    if images is None or rows is None:
        return 2
    if rows not in (images, 2 * images):
        raise ValueError(
            f"the output {name!r} has {rows} rows; expected {images}, an image of one modality each, or "
            f"{2 * images}, visible ones first. Give further views names of their own."
        )
    return rows // images


def _side_by_side(value, halves):
    """[halves b, ...] -> [b, halves, ...]."""
    value = tf.reshape(value, [halves, -1, *value.shape[1:]])
    return tf.transpose(value, [1, 0, *range(2, len(value.shape))])


def _one_above_the_other(value, halves, shape):
    """[B, halves w] -> [halves B, *shape], w being the elements of the shape."""
    value = tf.transpose(tf.reshape(value, [-1, halves, shape.num_elements()]), [1, 0, 2])
    return tf.reshape(value, [-1, *shape])


@tf.custom_gradient
def _gathered(rows):
    """[b, F] -> [B, F]."""
    context = tf.distribute.get_replica_context()
    count, own = context.num_replicas_in_sync, context.replica_id_in_sync_group
    each, width = tf.shape(rows)[0], rows.shape[1]
    # [R, b, F]: replica, image.
    # [R, 1, b, F]: four axes, by which `benchmarks.messages` tells rows from statistics.
    place = tf.reshape(tf.one_hot(own, count, dtype=rows.dtype), [count, 1, 1, 1])
    scattered = rows[None, None] * place
    everyone = tf.reshape(context.all_reduce(tf.distribute.ReduceOp.SUM, scattered), [-1, width])

    def gradient(upstream):
        return count * tf.reshape(upstream, [count, each, width])[own]

    return everyone, gradient


def sum_gradients(gradients, variables):
    """The gradients of the global loss: the sum of those of every replica's share, in replica context.

    Args:
        gradients: tensors.
        variables: what they are of; only their shapes are read, as tensors of unknown shape are not packed.

    Returns:
        list of tensors, the same on all replicas.
    """
    if num_replicas() == 1:
        return list(gradients)
    options = tf.distribute.experimental.CommunicationOptions(bytes_per_pack=BYTES_PER_PACK)
    context = tf.distribute.get_replica_context()
    known = [tf.reshape(g, v.shape) for g, v in zip(gradients, variables, strict=True)]
    return context.all_reduce(tf.distribute.ReduceOp.SUM, known, options=options)
