"""VCD's bottleneck (Tian et al., 2021): a small representation of an observed feature.

Legend: B images, C features, Z size of the representation.
"""

import zlib

import keras
import tensorflow as tf

from mmgl_tf.layers.full_precision import full_precision
from mmgl_tf.layers.normal_linear import NormalLinear
from mmgl_tf.layers.normalization.batch_norm import FusedBatchNorm


@keras.saving.register_keras_serializable(package="mmgl_tf")
class InformationBottleneck(keras.layers.Layer):
    """Three linear layers, batch norm and ReLU after the first two; always float32.

        C -> 1000, BN, ReLU -> 500, BN, ReLU -> Z

    Choice: the paper's is variational; the released one is this, deterministic: no mean and variance, no
    sampling, no prior. What keeps it small is the distillation alone.

    Linear layers start Kaiming-normal over the fan-out with bias 0, batch norms with gamma N(1, 0.02^2) and
    beta 0. A batch norm takes away the bias in front of it, so the gradients of "linear1/bias" and
    "linear2/bias" are rounding.

    Args:
        size: Z; 512 in the released code, twice its `z_dim`.
        widths: of the hidden layers.
        place: with `seed` it fixes the initial values; None for the layer's name.
        seed: integer of the network.
        **kwargs: name, trainable.
    """

    def __init__(self, size=512, widths=(1000, 500), place=None, seed=0, **kwargs):
        kwargs["dtype"] = full_precision()
        super().__init__(**{"name": "bottleneck", **kwargs})
        self.size, self.widths, self.seed = size, tuple(widths), seed
        self.place = self.name if place is None else place
        for i, width in enumerate((*self.widths, size), 1):
            name = f"linear{i}"
            setattr(self, name, NormalLinear(width, None, f"{self.place}/{name}", seed, name=name))
            if i <= len(self.widths):
                key = zlib.crc32(f"{seed}/{self.place}/norm{i}".encode()) & 0x7FFFFFFF
                gamma = keras.initializers.RandomNormal(mean=1.0, stddev=0.02, seed=key)
                norm = FusedBatchNorm(gamma_initializer=gamma, name=f"norm{i}", dtype=full_precision())
                setattr(self, f"norm{i}", norm)

    def build(self, input_shape):
        """Makes every weight; only the channels are read."""
        channels = input_shape[-1]
        for i, width in enumerate((*self.widths, self.size), 1):
            getattr(self, f"linear{i}").build((None, channels))
            if i <= len(self.widths):
                getattr(self, f"norm{i}").build((None, width))
            channels = width
        self.built = True

    def call(self, features, training=False):
        """Represents.

        Args:
            features: [B, C], any float type; Keras casts it to the layer's float32.
            training: True to use and record batch statistics.

        Returns:
            float32 [B, Z].
        """
        x = features
        for i in range(1, len(self.widths) + 1):
            x = getattr(self, f"norm{i}")(getattr(self, f"linear{i}")(x), training=training)
            x = tf.nn.relu(x)
        return getattr(self, f"linear{len(self.widths) + 1}")(x)

    def compute_output_shape(self, input_shape):
        """(B, Z) of (B, C)."""
        return (*input_shape[:-1], self.size)

    def get_config(self):
        """Constructor arguments, for saving."""
        return super().get_config() | {
            "size": self.size,
            "widths": self.widths,
            "place": self.place,
            "seed": self.seed,
        }
