"""How long training waits for data: the number that tells whether the pipeline is the bottleneck."""

import time

import numpy as np
import tensorflow as tf


class DataWait:
    """Adds up the time from a request for a batch to its arrival.

    Attach it behind the prefetching, where an arrival is the moment the trainer gets the batch. A
    callback says when the trainer starts to ask:

        wait = DataWait()
        dataset = training_dataset(..., wait=wait)
        # on_train_batch_begin:
        wait.requested()
        # on_epoch_end, with the seconds of the epoch:
        share = (wait.seconds - before) / seconds

    With several steps per callback (steps_per_execution), only the first batch of each call is timed. Where
    several replicas are fed, a batch has come when the last one's part has. A distribution strategy that
    prefetches to GPUs behind this stage makes waiting look shorter.

    Attributes:
        seconds: waited so far.
        batches: requests answered in it.
    """

    def __init__(self):
        self.seconds = 0.0
        self.batches = 0
        self._since = None
        self._arrived = 0

    def requested(self) -> None:
        """Says that the trainer now asks for the next batch."""
        self._since = time.perf_counter()
        self._arrived = 0

    def arrived(self, parts: int = 1) -> None:
        """Says that a batch, or one of its parts, has come; counts only after `requested`."""
        self._arrived += 1
        if self._since is not None and self._arrived == parts:
            self.seconds += time.perf_counter() - self._since
            self.batches += 1
            self._since = None

    def attach(self, dataset: tf.data.Dataset, parts: int = 1) -> tf.data.Dataset:
        """Adds the stage that notices arrivals.

        Args:
            dataset: yields dicts of tensors; its last stage should be a prefetch.
            parts: elements that the trainer asks for at once, one for each replica.

        Returns:
            The same elements.
        """

        def stamp():
            self.arrived(parts)
            return np.int64(0)

        def stage(batch):
            # The function runs once the element is here; what it returns is awaited and forgotten.
            with tf.control_dependencies([tf.numpy_function(stamp, [], tf.int64)]):
                return {name: tf.identity(value) for name, value in batch.items()}

        options = tf.data.Options()
        # A prefetch or a parallel map that the runtime adds behind this stage would stamp too early.
        options.experimental_optimization.inject_prefetch = False
        options.experimental_optimization.map_parallelization = False
        options.autotune.enabled = False
        options.deterministic = True
        return dataset.map(stage).with_options(options)
