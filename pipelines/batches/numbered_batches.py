"""Numbered batches, made in NumPy, as a `tf.data` dataset: whole, or a part for each replica."""

import numpy as np
import tensorflow as tf

from mmgl_tf.pipelines.batches.shards import Shards

PREFETCHED_BATCHES = 2


def numbered_batches(
    batches, spec: dict[str, tf.TensorSpec], first: int, end: int, ahead: int = PREFETCHED_BATCHES
) -> tf.data.Dataset:
    """batches(first), ..., batches(end - 1) as a dataset, made ahead of their use by one thread.

    Args:
        batches: a pure function number -> {name: array}.
        spec: shape and type of each array that is wanted, by name.
        first: number of the first element.
        end: number to stop before.
        ahead: elements that are kept ready.

    Returns:
        A dataset of known length, end - first. Its elements are dicts by the names of `spec`.
    """
    types = [part.dtype for part in spec.values()]

    def arrays(number):
        made = batches(number)
        return [made[name] for name in spec]

    def make(number):
        # stateful=False: a pure function of its number, as tf.data may want to know.
        parts = tf.numpy_function(arrays, [number], types, stateful=False)
        for part, known in zip(parts, spec.values(), strict=True):
            part.set_shape(known.shape)
        return dict(zip(spec, parts, strict=True))

    options = tf.data.Options()
    options.deterministic = True
    # One batch at a time: the threads are inside the batch, where an image is the unit of work.
    options.experimental_optimization.map_parallelization = False
    # Nothing is left to tune, and the tuner's thread can hold the end of an iterator up for a minute.
    options.autotune.enabled = False
    numbers = tf.data.Dataset.range(np.int64(first), np.int64(end))
    return numbers.map(make).prefetch(ahead).with_options(options)


def sharded_batches(
    batches, spec: dict[str, tf.TensorSpec], first: int, end: int, batch_size: int, shards: Shards
) -> tf.data.Dataset:
    """The parts of batches first, ..., end - 1 that the replicas of this process get, in `Shards`' order.

    Args:
        batches: a pure function (number, rows) -> {name: array}, rows a range of 0 to B - 1.
        spec: as in `numbered_batches`, of a part.
        first: number of the first batch.
        end: number to stop before.
        batch_size: images per modality in the global batch, B.
        shards: the replicas.

    Returns:
        A dataset of known length, (end - first) * shards.local; else as `numbered_batches`.
    """

    def part(number):
        return batches(*shards.part(number, batch_size))

    local = shards.local
    return numbered_batches(part, spec, first * local, end * local, PREFETCHED_BATCHES * local)
