"""Convolution and max pooling with explicit symmetric padding, as PyTorch pads.

Keras' `padding="same"` pads an even-sized input of a strided layer on one side only, which shifts the whole
feature map against a network trained with symmetric padding.
"""

import keras
import tensorflow as tf


def kaiming_normal_fan_out(seed):
    """He initialisation over the fan-out for ReLU: a normal with variance 2 / (rows x cols x filters).

    Args:
        seed: integer; the same seed and shape give the same values.

    Returns:
        A Keras initialiser.
    """
    return keras.initializers.VarianceScaling(
        scale=2.0, mode="fan_out", distribution="untruncated_normal", seed=seed
    )


@keras.saving.register_keras_serializable(package="mmgl_tf")
class PaddedConv2D(keras.layers.Layer):
    """Bias-free 2-D convolution with symmetric zero padding. The batch norm behind it makes a bias redundant.

    `tf.nn.conv2d` takes explicit padding, but its gradients then miss the fast CPU kernels: with TF 2.20 they
    take twice the time in float32 and a hundred times in bfloat16. So the op pads by itself where its own
    rule is symmetric (stride 1), and a copy pads for the few strided convolutions, no more rows than a window
    reads.

    Args:
        filters: output channels F.
        kernel_size: rows and columns of the square kernel, pixels.
        strides: step of the kernel, pixels.
        padding: zeros on each of the four sides, pixels; None = kernel_size // 2.
        kernel_initializer: Keras initialiser; None = `kaiming_normal_fan_out(seed)`.
        seed: seed of the default initialiser, which is what the layer's config keeps.
        **kwargs: name, dtype, trainable.
    """

    def __init__(
        self, filters, kernel_size, strides=1, padding=None, kernel_initializer=None, seed=0, **kwargs
    ):
        super().__init__(**kwargs)
        for what, value, low in (
            ("filters", filters, 1),
            ("kernel_size", kernel_size, 1),
            ("strides", strides, 1),
        ):
            if not isinstance(value, int) or value < low:
                raise ValueError(f"PaddedConv2D got {what}={value!r}; expected an integer of at least {low}.")
        self.filters = filters
        self.kernel_size = kernel_size
        self.strides = strides
        self.padding = kernel_size // 2 if padding is None else padding
        self.kernel_initializer = keras.initializers.get(kernel_initializer) or kaiming_normal_fan_out(seed)

    def build(self, input_shape):
        """Makes the kernel [rows, cols, C, F]; only the channels of `input_shape` are read."""
        channels = input_shape[-1]
        if channels is None:
            raise ValueError(
                f"PaddedConv2D {self.name!r} got input shape {tuple(input_shape)}; expected a known number "
                "of channels in the last axis. Build it with a shape such as (None, None, None, 3)."
            )
        self.kernel = self.add_weight(
            name="kernel",
            shape=(self.kernel_size, self.kernel_size, channels, self.filters),
            initializer=self.kernel_initializer,
        )
        self.built = True

    def call(self, inputs):
        """Convolves.

        Args:
            inputs: [B, H, W, C], compute dtype.

        Returns:
            [B, (H + 2 padding - kernel) // stride + 1, same for W, F], compute dtype.
        """
        kernel = tf.convert_to_tensor(self.kernel)
        if self.kernel_size == self.strides == 1 and self.padding == 0 and inputs.dtype == tf.bfloat16:
            # The same sums as a matrix product: the kernel's gradient takes a third of the time on a CPU.
            return tf.einsum("bhwc,cf->bhwf", inputs, kernel[0, 0])
        if self.padding == 0:
            return tf.nn.conv2d(inputs, kernel, self.strides, "VALID")
        if self.strides == 1 and 2 * self.padding == self.kernel_size - 1:
            return tf.nn.conv2d(inputs, kernel, 1, "SAME")
        padded = _pad(inputs, self.kernel_size, self.strides, self.padding)
        return tf.nn.conv2d(padded, kernel, self.strides, "VALID")

    def compute_output_shape(self, input_shape):
        """Shape of the output for one input shape."""
        batch, height, width, _ = input_shape
        sizes = (_output_size(n, self.kernel_size, self.strides, self.padding) for n in (height, width))
        return (batch, *sizes, self.filters)

    def get_config(self):
        """Constructor arguments, for saving."""
        return super().get_config() | {
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "padding": self.padding,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }


@keras.saving.register_keras_serializable(package="mmgl_tf")
class PaddedMaxPool2D(keras.layers.Layer):
    """Max pooling with symmetric padding, for inputs that are not negative (it stands behind a ReLU).

    Zeros stand for the usual minus infinity, which is the same once nothing is negative. The padding is a
    copy, no more rows than a window reads: TF's pooling with explicit padding takes 2.5 to 4 times as long on
    a CPU (forward and backward, 8x144x72x64), and XLA does not know it.

    Args:
        pool_size: rows and columns of the window, pixels.
        strides: step of the window, pixels.
        padding: cells on each side, pixels; None = pool_size // 2.
        **kwargs: name, dtype.
    """

    def __init__(self, pool_size=3, strides=2, padding=None, **kwargs):
        super().__init__(**kwargs)
        self.pool_size = pool_size
        self.strides = strides
        self.padding = pool_size // 2 if padding is None else padding

    def call(self, inputs):
        """Pools [B, H, W, C], not negative, to [B, (H + 2 padding - pool) // stride + 1, same for W, C]."""
        padded = _pad(inputs, self.pool_size, self.strides, self.padding)
        return tf.nn.max_pool2d(padded, self.pool_size, self.strides, "VALID")

    def compute_output_shape(self, input_shape):
        """Shape of the output for one input shape."""
        batch, height, width, channels = input_shape
        sizes = (_output_size(n, self.pool_size, self.strides, self.padding) for n in (height, width))
        return (batch, *sizes, channels)

    def get_config(self):
        """Constructor arguments, for saving."""
        return super().get_config() | {
            "pool_size": self.pool_size,
            "strides": self.strides,
            "padding": self.padding,
        }


def _output_size(size, kernel_size, strides, padding):
    return None if size is None else (size + 2 * padding - kernel_size) // strides + 1


def _pad(images, size, strides, padding):
    """Pads [B, H, W, C] with zeros: symmetrically, but for rows and columns that no window reads."""

    def of(length):
        if length is None:
            return [padding, padding]
        windows = _output_size(length, size, strides, padding)
        return [padding, max((windows - 1) * strides + size - padding - length, 0)]

    return tf.pad(images, [[0, 0], of(images.shape[1]), of(images.shape[2]), [0, 0]])
