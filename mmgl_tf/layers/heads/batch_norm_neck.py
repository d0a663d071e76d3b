"""The batch norm between the pooled feature and the classifier (Luo et al., 2019, "BNNeck").

Legend: B images, C channels.
"""

import keras
import numpy as np

from mmgl_tf.layers.full_precision import full_precision
from mmgl_tf.layers.normalization.batch_norm import FusedBatchNorm


@keras.saving.register_keras_serializable(package="mmgl_tf")
class BatchNormNeck(FusedBatchNorm):
    """Normalises pooled features [B, C] without an offset: y = gamma (x - m) / sqrt(v + epsilon).

    The triplet loss reads the feature before the neck, the classifier after it. Without an offset the classes
    stay around the origin, where the classifier, which has no bias, separates them by angle. The field's code
    has an offset and freezes it at 0: the same function (a weight decay cannot move it either).

    gamma starts from N(1, deviation^2). Always float32, also under mixed precision; statistics as
    `FusedBatchNorm` keeps them, the running variance unbiased.

    Args:
        epsilon: added to the variance, the square of the input's unit.
        momentum: in [0, 1], the share of the old moving statistics that stays.
        seed: integer, of gamma's initial values.
        deviation: of these; 0 starts all at 1, as MPANet and VCD do.
        **kwargs: name, trainable.
    """

    def __init__(self, epsilon=1e-5, momentum=0.9, seed=0, deviation=0.01, **kwargs):
        kwargs["dtype"] = full_precision()
        gamma = keras.initializers.RandomNormal(mean=1.0, stddev=deviation, seed=seed)
        super().__init__(epsilon=epsilon, momentum=momentum, gamma_initializer=gamma, **kwargs)
        self.seed, self.deviation = seed, deviation

    def build(self, input_shape):
        """Makes gamma, moving_mean and moving_variance [C]."""
        if len(input_shape) != 2 or input_shape[-1] is None:
            raise ValueError(
                f"BatchNormNeck {self.name!r} got input shape {tuple(input_shape)}; expected pooled features "
                "[B, C] with a known number of channels."
            )
        shape = (input_shape[-1],)
        self.gamma = self.add_weight(name="gamma", shape=shape, initializer=self.gamma_initializer)
        self.beta = np.zeros(shape, self._vectors_dtype)  # a constant in the base's formula
        self._build_moving_statistics(input_shape[-1])
        self.built = True

    def get_config(self):
        """Constructor arguments, for saving."""
        config = super().get_config() | {"seed": self.seed, "deviation": self.deviation}
        del config["gamma_initializer"]
        return config
