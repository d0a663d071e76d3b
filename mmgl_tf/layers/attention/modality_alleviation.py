"""MPANet's modality alleviation module, MAM (Wu et al., 2021): some channels lose the image's own style.

Legend: B images, H W rows and columns of the feature map, C channels, r reduction.
"""

import zlib

import keras
import tensorflow as tf

from mmgl_tf.layers.convolution import kaiming_normal_fan_out
from mmgl_tf.layers.full_precision import at_least_float32


def instance_norm(x, epsilon=1e-5):
    """Each channel of each image with mean 0 and variance 1 over its places (Ulyanov et al., 2016).

    No weights, no moving statistics, the biased variance.

    Args:
        x: float32 or float64 [B, H, W, C].
        epsilon: added to the variance.

    Returns:
        As x. A channel that is the same everywhere comes out as 0.
    """
    centred = x - tf.reduce_mean(x, axis=[1, 2], keepdims=True)
    variance = tf.reduce_mean(tf.square(centred), axis=[1, 2], keepdims=True)
    return centred * tf.math.rsqrt(variance + epsilon)


@keras.saving.register_keras_serializable(package="mmgl_tf")
class ModalityAlleviation(keras.layers.Layer):
    """Mixes a feature map with its instance norm, each channel by a share that the image decides.

        w   = sigmoid(W2 relu(W1 GAP(x)))          [B, C], two 1x1 convolutions C -> C / r -> C, no bias
        out = w x + (1 - w) IN(x)

    Instance norm uses the image's own statistics at test time too. It stands inside the trunk, behind a
    stage; sums over places and the mixing are float32 under mixed precision. Convolutions start
    Kaiming-normal over the fan-out, as the trunk's.

    Args:
        reduction: r, divides C; 16 in MPANet.
        place: with `seed` it fixes the initial values; None for the layer's name.
        seed: integer of the network.
        **kwargs: name, dtype, trainable.
    """

    def __init__(self, reduction=16, place=None, seed=0, **kwargs):
        super().__init__(**kwargs)
        self.reduction, self.seed = reduction, seed
        self.place = self.name if place is None else place

    def build(self, input_shape):
        """Makes `squeeze` [C, C / r] and `excite` [C / r, C]; only the channels are read."""
        channels = input_shape[-1]
        if len(input_shape) != 4 or channels is None or channels % self.reduction:
            raise ValueError(
                f"ModalityAlleviation {self.name!r} got input shape {tuple(input_shape)} and "
                f"reduction={self.reduction}; expected [B, H, W, C] with a C that reduction divides."
            )
        inner = channels // self.reduction
        for name, shape in (("squeeze", (channels, inner)), ("excite", (inner, channels))):
            seed = zlib.crc32(f"{self.seed}/{self.place}/{name}".encode()) & 0x7FFFFFFF
            weight = self.add_weight(
                name=name, shape=shape, initializer=kaiming_normal_fan_out(seed), autocast=False
            )
            setattr(self, name, weight)
        self.built = True

    def call(self, inputs):
        """Mixes.

        Args:
            inputs: [B, H, W, C], compute dtype.

        Returns:
            The shape and dtype of `inputs`.
        """
        x = at_least_float32(inputs)
        pooled = tf.reduce_mean(x, axis=[1, 2])
        inner = tf.nn.relu(tf.matmul(pooled, tf.convert_to_tensor(self.squeeze)))
        share = tf.sigmoid(tf.matmul(inner, tf.convert_to_tensor(self.excite)))[:, tf.newaxis, tf.newaxis]
        return tf.cast(share * x + (1.0 - share) * instance_norm(x), inputs.dtype)

    def compute_output_shape(self, input_shape):
        """The input's shape."""
        return input_shape

    def get_config(self):
        """Constructor arguments, for saving."""
        return super().get_config() | {
            "reduction": self.reduction,
            "place": self.place,
            "seed": self.seed,
        }
