"""Generalised-mean pooling of a feature map (Radenovic et al., 2018; AGW's pooling).

Legend: B images, H W rows and columns of the feature map, C channels.
"""

import keras
import tensorflow as tf

from mmgl_tf.layers.full_precision import full_precision


@keras.saving.register_keras_serializable(package="mmgl_tf")
class GeMPooling(keras.layers.Layer):
    """The p-th root of the mean p-th power of each channel: y = (mean(x^p) + epsilon)^(1/p).

    p = 1 is average pooling, p to infinity is max pooling; AGW fixes p = 3. Always float32, also under mixed
    precision: x^3 of a half-precision number loses epsilon and, from 41 on in float16, overflows.

    The gradient stays finite at x = 0: the root's is at most epsilon^(1/p - 1) / p, 3.3e7 at the defaults,
    and is multiplied by p x^(p - 1) / (H W) = 0. A map of zeros comes out as epsilon^(1/p), 1e-4.

    Args:
        p: exponent, at least 1; below, the gradient at x = 0 is infinite.
        epsilon: added to the mean, the p-th power of the input's unit.
        **kwargs: name.
    """

    def __init__(self, p=3.0, epsilon=1e-12, **kwargs):
        kwargs["dtype"] = full_precision()
        super().__init__(**kwargs)
        if p < 1.0:
            raise ValueError(f"GeMPooling got p={p}; expected at least 1 (average pooling), such as AGW's 3.")
        if epsilon <= 0.0:
            raise ValueError(f"GeMPooling got epsilon={epsilon}; expected a positive number such as 1e-12.")
        self.p = float(p)
        self.epsilon = float(epsilon)

    def call(self, feature_map):
        """Pools.

        Args:
            feature_map: [B, H, W, C], not negative (it stands behind a ReLU), any float type; Keras casts it
                to the layer's float32.

        Returns:
            float32 [B, C], positive.
        """
        means = tf.reduce_mean(tf.pow(feature_map, self.p), axis=[1, 2])
        return tf.pow(means + self.epsilon, 1.0 / self.p)

    def compute_output_shape(self, input_shape):
        """(B, C) of (B, H, W, C)."""
        return (input_shape[0], input_shape[-1])

    def get_config(self):
        """Constructor arguments, for saving."""
        return super().get_config() | {"p": self.p, "epsilon": self.epsilon}
