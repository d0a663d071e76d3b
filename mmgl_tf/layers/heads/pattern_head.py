"""MPANet's pattern head (Wu et al., 2021): learned masks instead of stripes.

Legend: B images, H W rows and columns of the feature map, C channels, P patterns.
"""

import keras
import tensorflow as tf

from mmgl_tf.layers.full_precision import full_precision
from mmgl_tf.layers.linear import Linear


@keras.saving.register_keras_serializable(package="mmgl_tf")
class PatternHead(keras.layers.Layer):
    """Masks of P patterns, the mean of the map under each of them, and its plain mean; always float32.

        M_p  = sigmoid(1x1 convolution of F)                 [H, W]
        f_p  = 1/(H W) sum_hw M_p,hw F_hw                    [C]
        f    = [f_1 ... f_P, 1/(H W) sum_hw F_hw]            [(P + 1) C]

    The mean is over all places, not over the mask's: a small mask gives a short feature. The convolution
    starts as PyTorch's, its kernel uniform within +-1/sqrt(C), but with bias 0. The masks' overlap is
    `mask_separation`.

    Args:
        patterns: P; 6 in MPANet.
        place: with `seed` it fixes the initial values; None for the layer's name.
        seed: integer of the network.
        **kwargs: name, trainable.
    """

    def __init__(self, patterns=6, place=None, seed=0, **kwargs):
        kwargs["dtype"] = full_precision()
        super().__init__(**{"name": "patterns", **kwargs})
        if not isinstance(patterns, int) or patterns < 1:
            raise ValueError(f"PatternHead got patterns={patterns!r}; expected an integer of at least 1.")
        self.patterns, self.seed = patterns, seed
        self.place = self.name if place is None else place
        self.masks = Linear(patterns, place=f"{self.place}/masks", seed=seed, name="masks")

    def build(self, input_shape):
        """Makes the convolution; only the channels are read."""
        self.masks.build((None, input_shape[-1]))
        self.masks.bias.assign(tf.zeros_like(self.masks.bias))
        self.built = True

    def call(self, feature_map):
        """Pools under the masks.

        Args:
            feature_map: [B, H, W, C], any float type; Keras casts it to the layer's float32.

        Returns:
            (features float32 [B, (P + 1) C]; masks float32 [B, H, W, P] in [0, 1]).
        """
        shape, channels = tf.shape(feature_map), feature_map.shape[-1]
        masks = tf.sigmoid(self.masks(tf.reshape(feature_map, [-1, channels])))
        masks = tf.reshape(masks, [-1, shape[1] * shape[2], self.patterns])
        places = tf.reshape(feature_map, [-1, shape[1] * shape[2], channels])
        under = tf.matmul(masks, places, transpose_a=True) / tf.cast(shape[1] * shape[2], places.dtype)
        features = tf.concat([under, tf.reduce_mean(places, axis=1, keepdims=True)], axis=1)
        return (
            tf.reshape(features, [-1, (self.patterns + 1) * channels]),
            tf.reshape(masks, [-1, shape[1], shape[2], self.patterns]),
        )

    def compute_output_shape(self, input_shape):
        """Shapes of features and masks."""
        batch, rows, columns, channels = input_shape
        return (batch, (self.patterns + 1) * channels), (batch, rows, columns, self.patterns)

    def get_config(self):
        """Constructor arguments, for saving."""
        return super().get_config() | {"patterns": self.patterns, "place": self.place, "seed": self.seed}
