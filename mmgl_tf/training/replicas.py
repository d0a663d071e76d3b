"""What the replicas of one training step tell each other: the rows that the losses read, and gradients.

Under a `tf.distribute` strategy each replica sees its rows of the global batch. Losses that compare images
(cycle contrast, triplets) need all of them, so every replica gathers what the heads put out and computes the
same loss of the global batch. Hence the convention of this project: a replica's tape gives the gradient of
that ONE global loss with respect to the replica's own rows, and the gradients of a step are the SUM over
replicas. Nothing is divided by their number.

Legend: R replicas, b images per modality on a replica, B = R b, F figures a row.
"""

import tensorflow as tf

# Gradients travel in packs of so many bytes: one message a variable would cost more in latency than in
# bandwidth, one for all could not begin before the last gradient is there.
BYTES_PER_PACK = 32 * 2**20


def num_replicas():
    """R, a Python integer: that of the strategy in whose scope this is called."""
    return tf.distribute.get_strategy().num_replicas_in_sync


def gather_rows(local):
    """The rows of all replicas, as one replica with the global batch would have them.

    One message for all tensors: an all-reduce of a matrix that is zero outside the own rows, as sums with
    zeros are exact. (`all_gather` costs two: it first asks for shapes, which are known here.)

    Args:
        local: {name: [2b, ...]}, in replica context; visible rows first. Integers must be below 2**24.

    Returns:
        {name: [2B, ...]} of the same types, visible rows of all replicas first. Its gradient with respect
        to `local` is the own rows of the upstream gradient: see the head of this file.
    """
    if num_replicas() == 1:
        return dict(local)
    widths = {name: value.shape[1:].num_elements() for name, value in local.items()}
    rows = tf.concat(
        [tf.reshape(tf.cast(local[name], tf.float32), [-1, width]) for name, width in widths.items()], axis=1
    )
    parts = tf.split(_gathered(rows), list(widths.values()), axis=1)
    return {
        name: tf.cast(tf.reshape(part, [-1, *value.shape[1:]]), value.dtype)
        for (name, value), part in zip(local.items(), parts, strict=True)
    }


@tf.custom_gradient
def _gathered(rows):
    """float32 [2b, F] -> [2B, F], visible rows first."""
    context = tf.distribute.get_replica_context()
    count, own = context.num_replicas_in_sync, context.replica_id_in_sync_group
    each, width = tf.shape(rows)[0] // 2, rows.shape[1]
    # [2, R, b, F]: modality, replica, image.
    place = tf.reshape(tf.one_hot(own, count), [1, count, 1, 1])
    scattered = tf.reshape(rows, [2, 1, each, width]) * place
    everyone = tf.reshape(context.all_reduce(tf.distribute.ReduceOp.SUM, scattered), [-1, width])

    def gradient(upstream):
        mine = tf.gather(tf.reshape(upstream, [2, count, each, width]), own, axis=1)
        return tf.reshape(mine, [-1, width])

    return everyone, gradient


def sum_gradients(gradients, variables):
    """The gradients of the global loss: the sum of every replica's, in replica context.

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
