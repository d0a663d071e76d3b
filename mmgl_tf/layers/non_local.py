"""The non-local block of AGW (Wang et al., 2018, the dot-product variant).

Legend: B images, H W rows and columns of the feature map, N = H W positions, C channels, d inner channels.
"""

import math
import zlib

import keras
import tensorflow as tf

from mmgl_tf.layers.full_precision import at_least_float32
from mmgl_tf.layers.normalization.batch_norm import FusedBatchNorm


def _uniform_by_fan_in(fan_in, seed):
    """PyTorch's default initialiser of a convolution's kernel and bias: uniform within +-1/sqrt(fan_in)."""
    limit = 1.0 / math.sqrt(fan_in)
    return keras.initializers.RandomUniform(-limit, limit, seed=seed)


@keras.saving.register_keras_serializable(package="mmgl_tf")
class NonLocal(keras.layers.Layer):
    """Adds to every position what all positions say together, weighted by pairwise products.

    With 1x1 convolutions theta, phi, g (C to d channels) and `project` (d back to C), all with bias:

        f_ij = theta(x)_i . phi(x)_j        [N, N], no softmax
        y_i  = 1/N sum_j f_ij g(x)_j        [N, d]
        out  = x + BN(project(y))

    The batch norm's gamma and beta start at 0, so the block starts as the identity and a pre-trained trunk is
    not disturbed. f is never made: (theta phi^T) g = theta (phi^T g) are the same sums in another order,
    N d^2 products instead of N^2 d.

    Choice: the released code of AGW divides the ratio by itself and so has d = 1, not the C/2 of its paper;
    its published numbers are with 1. The products over positions are float32, also under mixed precision.

    Args:
        inner_channels: d.
        place: where the block stands, such as "layer2/2"; with `seed` it fixes the initial weights. None for
            the layer's name.
        seed: integer of the network.
        **kwargs: name, dtype, trainable.
    """

    def __init__(self, inner_channels=1, place=None, seed=0, **kwargs):
        super().__init__(**kwargs)
        if not isinstance(inner_channels, int) or inner_channels < 1:
            raise ValueError(
                f"NonLocal got inner_channels={inner_channels!r}; expected an integer of at least 1. The "
                "released AGW has 1."
            )
        self.inner_channels, self.seed = inner_channels, seed
        self.place = self.name if place is None else place

    def _dense(self, name, fan_in, units):
        """A dense layer over channels, which is a 1x1 convolution."""

        def initializer(what):  # a pure function of seed and place, as the blocks' kernels are
            key = f"{self.seed}/{self.place}/{name}/{what}"
            return _uniform_by_fan_in(fan_in, zlib.crc32(key.encode()) & 0x7FFFFFFF)

        layer = keras.layers.Dense(
            units,
            kernel_initializer=initializer("kernel"),
            bias_initializer=initializer("bias"),
            name=name,
            dtype=self.dtype_policy,
        )
        layer.build((None, fan_in))
        return layer

    def build(self, input_shape):
        """Makes the four 1x1 convolutions and the batch norm; only the channels of `input_shape` are read."""
        channels = input_shape[-1]
        if len(input_shape) != 4 or channels is None:
            raise ValueError(
                f"NonLocal {self.name!r} got input shape {tuple(input_shape)}; expected [B, H, W, C] with a "
                "known number of channels."
            )
        self.theta = self._dense("theta", channels, self.inner_channels)
        self.phi = self._dense("phi", channels, self.inner_channels)
        self.g = self._dense("g", channels, self.inner_channels)
        self.project = self._dense("project", self.inner_channels, channels)
        self.norm = FusedBatchNorm(gamma_initializer="zeros", name="norm", dtype=self.dtype_policy)
        self.norm.build((None, None, None, channels))
        self.built = True

    def call(self, inputs, training=None):
        """Adds the non-local term.

        Args:
            inputs: [B, H, W, C], compute dtype.
            training: Python bool; True uses and records the batch norm's batch statistics.

        Returns:
            The shape and dtype of `inputs`.
        """
        height, width, channels = tf.shape(inputs)[1], tf.shape(inputs)[2], inputs.shape[-1]
        x = tf.reshape(inputs, [-1, height * width, channels])
        # One matrix product for the three: with d = 1 each is bound by reading x.
        inner = (self.theta, self.phi, self.g)
        kernel = tf.concat([tf.convert_to_tensor(layer.kernel) for layer in inner], axis=1)
        bias = tf.concat([tf.convert_to_tensor(layer.bias) for layer in inner], axis=0)
        theta, phi, g = tf.split(at_least_float32(tf.matmul(x, kernel) + bias), 3, axis=-1)
        gathered = tf.matmul(phi, g, transpose_a=True) / tf.cast(height * width, phi.dtype)  # [B, d, d]
        y = tf.reshape(tf.matmul(theta, gathered), [-1, height, width, self.inner_channels])
        return inputs + self.norm(self.project(tf.cast(y, inputs.dtype)), training=training)

    def compute_output_shape(self, input_shape):
        """The input's shape."""
        return input_shape

    def get_config(self):
        """Constructor arguments, for saving."""
        return super().get_config() | {
            "inner_channels": self.inner_channels,
            "place": self.place,
            "seed": self.seed,
        }
