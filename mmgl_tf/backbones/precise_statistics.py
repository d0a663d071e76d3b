"""Batch norm's statistics of given images instead of those that training left behind ("precise BN").

Training moves them along with its own batches. An encoder that is to be used on other images, such as those
of a modality that it never saw, needs statistics of those (Wu and Johnson, 2021, section 3).
"""

import numpy as np
import tensorflow as tf

from mmgl_tf.backbones.encoder import Encoder
from mmgl_tf.layers.normalization.batch_norm import FusedBatchNorm


class PreciseStatistics:
    """A copy of an encoder, with statistics estimated anew; the encoder itself stays as it is.

    Every batch goes through the copy as in training, each layer on the batch statistics of those before it:

        moving mean     <- 1/N sum_n mean_n
        moving variance <- 1/N sum_n variance_n,   unbiased within batch n

    The copy belongs to no strategy: one worker may make it while the others wait. Its graph is traced once.

    Args:
        encoder: built `Encoder`.
    """

    def __init__(self, encoder):
        self._source = encoder
        self._copy = Encoder.from_config(encoder.get_config())
        self._copy.build()
        self._norms = [part for part in self._copy._flatten_layers() if isinstance(part, FusedBatchNorm)]
        for norm in self._norms:
            norm.momentum = 0.0  # what a pass leaves behind is then that batch's own
        self._pass = tf.function(self._statistics, reduce_retracing=True, autograph=False)

    def __call__(self, batches):
        """Estimates.

        Args:
            batches: iterable of {modality: float32 [b, H, W, 3]}, normalised images, at least one batch;
                batches of one size count alike.

        Returns:
            `Encoder` with the present weights of the one given, the same object at every call.

        Raises:
            ValueError: no batch.
        """
        for own, source in zip(self._copy.weights, self._source.weights, strict=True):
            own.assign(source)
        sums, count = 0.0, 0
        for batch in batches:
            # In float64: hundreds of terms, of which some are a thousand times others.
            sums = sums + self._pass(batch).numpy().astype(np.float64)
            count += 1
        if not count:
            raise ValueError(
                "PreciseStatistics got no batch; expected at least one. Are there training images?"
            )
        variables = [v for norm in self._norms for v in (norm.moving_mean, norm.moving_variance)]
        ends = np.cumsum([variable.shape[0] for variable in variables])[:-1]
        for variable, value in zip(variables, np.split(sums / count, ends), strict=True):
            variable.assign(value.astype(np.float32))
        return self._copy

    def _statistics(self, batch):
        """All layers' statistics of a batch, one after the other, float32 [n]."""
        self._copy(batch, training=True)
        return tf.concat([tf.concat([n.moving_mean, n.moving_variance], axis=0) for n in self._norms], axis=0)
