"""One set of moving statistics for replicas that normalise apart."""

import keras
import numpy as np
import tensorflow as tf

from mmgl_tf.layers.normalization.batch_norm import FusedBatchNorm


class SharedStatistics(keras.callbacks.Callback):
    """Gives all replicas the first one's moving statistics, before validation and at the end of an epoch.

    A replica that normalises by itself also moves its own statistics. Saved are the first replica's, so they
    are what validation must judge; else the score would be of a mixture that nobody has, and another one
    after a resume. Training reads none of them. One message for all layers.

    Args:
        model: built `TrainingModel`, made in the scope of `strategy`.
        strategy: `tf.distribute.Strategy`.
    """

    def __init__(self, model, strategy):
        super().__init__()
        layers = [layer for layer in model._flatten_layers() if isinstance(layer, FusedBatchNorm)]
        apart = [layer for layer in layers if not layer.synchronised]
        self._variables = [v.value for layer in apart for v in (layer.moving_mean, layer.moving_variance)]
        self._strategy = strategy

    def on_test_begin(self, logs=None):
        """Before validation."""
        self._share()

    def on_epoch_end(self, epoch, logs=None):
        """Before the weights are judged and saved."""
        self._share()

    def _share(self):
        if self._variables:
            self._on_replicas()

    @tf.function(autograph=False)
    def _on_replicas(self):
        self._strategy.run(self._take_the_firsts)

    def _take_the_firsts(self):
        context = tf.distribute.get_replica_context()
        own = tf.concat([tf.convert_to_tensor(variable) for variable in self._variables], axis=0)
        # Not times 0: a statistic of another replica may be infinite.
        first = tf.where(tf.equal(context.replica_id_in_sync_group, 0), own, tf.zeros_like(own))
        shared = context.all_reduce(tf.distribute.ReduceOp.SUM, first)
        sizes = [int(np.prod(variable.shape)) for variable in self._variables]
        for variable, value in zip(self._variables, tf.split(shared, sizes), strict=True):
            variable.assign(value)
