"""The running mean of a figure that every replica knows."""

import keras
import numpy as np

from mmgl_tf.layers.full_precision import full_precision


class RunningMean(keras.metrics.Metric):
    """The weighted mean of all values since the last reset.

    `keras.metrics.Mean` sums over replicas whenever it is read. Here each replica has the figure of the
    whole batch already (`replicas.gather_rows`), so each keeps its own sums, and reading, resetting and
    saving them takes no message: a worker may do so alone.

    Args:
        name: as for `keras.metrics.Metric`, without slashes.
    """

    def __init__(self, name):
        super().__init__(name=name, dtype=full_precision())
        settings = {"shape": (), "initializer": "zeros", "aggregation": "only_first_replica"}
        self.total = self.add_variable(name="total", **settings)
        self.count = self.add_variable(name="count", **settings)

    def update_state(self, values, weights=None):
        """Adds values.

        Args:
            values: of any shape, converted to the mean's float32.
            weights: of the same shape, at least 0; None = 1 each.
        """
        values = keras.ops.cast(values, self.total.dtype)
        weights = keras.ops.ones_like(values) if weights is None else keras.ops.cast(weights, values.dtype)
        self.total.assign_add(keras.ops.sum(values * weights))
        self.count.assign_add(keras.ops.sum(weights))

    def sums(self):
        """(sum of the weighted values, sum of the weights) so far, floats; outside a step."""
        return float(np.asarray(self.total)), float(np.asarray(self.count))

    def result(self):
        """The mean; 0 before the first value."""
        return keras.ops.divide_no_nan(self.total.value, self.count.value)
