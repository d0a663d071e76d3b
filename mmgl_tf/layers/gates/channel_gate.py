"""The coarse half of an NFS-style search cell: which channels of a feature map go on.

Legend: B images, H W rows and columns of the feature map, C channels, r reduction.
"""

import zlib

import keras
import tensorflow as tf

from mmgl_tf.layers.full_precision import at_least_float32

# sigmoid(3) = 0.95: a gate starts open, but not for good.
OPEN = 3.0


@keras.saving.register_keras_serializable(package="mmgl_tf")
class ChannelGate(keras.layers.Layer):
    """Logits of one gate for each channel, as the image or the data set alone decide.

        by image     l = W2 relu(W1 GAP(x) + b1) + b2,   C -> C / r -> C
        static       l = b, a number for each channel

    b2 and b start at 3, W2 at 0, W1 and b1 uniform within +-1/sqrt(C): every logit starts at 3, so a trunk
    that was trained before goes on as it was, and W1 learns from the second step on.

    NFS has published no code; this is our reading of its search over channels.

    Args:
        reduction: r, divides C; 0 for static gates.
        place: with `seed` it fixes the initial values; None for the layer's name.
        seed: integer of the network.
        **kwargs: name, dtype, trainable.
    """

    def __init__(self, reduction=16, place=None, seed=0, **kwargs):
        # The trunk says in what type it computes; serving may use another than training did.
        super().__init__(autocast=False, **kwargs)
        self.reduction, self.seed = reduction, seed
        self.place = self.name if place is None else place

    def build(self, input_shape):
        """Makes the weights; only the channels are read."""
        channels = input_shape[-1]
        if self.reduction and channels % self.reduction:
            raise ValueError(
                f"ChannelGate {self.name!r} got {channels} channels and reduction={self.reduction}; expected "
                "a reduction that divides them, or 0 for static gates."
            )

        def weight(name, shape, initializer):
            setattr(
                self,
                name,
                self.add_weight(name=name, shape=shape, initializer=initializer, autocast=False),
            )

        if self.reduction:
            inner, limit = channels // self.reduction, channels**-0.5
            for name, shape in (("squeeze", (channels, inner)), ("squeeze_bias", (inner,))):
                seed = zlib.crc32(f"{self.seed}/{self.place}/{name}".encode()) & 0x7FFFFFFF
                weight(name, shape, keras.initializers.RandomUniform(-limit, limit, seed=seed))
            weight("excite", (inner, channels), "zeros")
        weight("bias", (channels,), keras.initializers.Constant(OPEN))
        self.built = True

    def call(self, inputs):
        """Logits.

        Args:
            inputs: [B, H, W, C], any float type.

        Returns:
            float32 [B, C].
        """
        bias = tf.convert_to_tensor(self.bias)
        if not self.reduction:
            return tf.tile(bias[tf.newaxis], [tf.shape(inputs)[0], 1])
        pooled = tf.reduce_mean(at_least_float32(inputs), axis=[1, 2])
        inner = tf.nn.relu(tf.matmul(pooled, tf.convert_to_tensor(self.squeeze)) + self.squeeze_bias)
        return tf.matmul(inner, tf.convert_to_tensor(self.excite)) + bias

    def compute_output_shape(self, input_shape):
        """(B, C) of (B, H, W, C)."""
        return (input_shape[0], input_shape[-1])

    def get_config(self):
        """Constructor arguments, for saving."""
        return super().get_config() | {
            "reduction": self.reduction,
            "place": self.place,
            "seed": self.seed,
        }
