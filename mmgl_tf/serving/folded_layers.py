"""Convolutions with the batch norm behind them folded in: what is left of a residual network at inference.

A batch norm with fixed statistics is an affine map of each channel, so  BN(x * k) = x * (k s) + (b - m s)
with s = gamma / sqrt(v + epsilon). One op instead of two, and TF's graph optimiser then fuses convolution,
bias, residual sum and ReLU into one kernel.
"""

import numpy as np
import tensorflow as tf


def affine(norm):
    """A built `FusedBatchNorm` or `BatchNormNeck` as scale and shift.

    Returns:
        (scale, shift): float64 [C] each; y = scale x + shift.
    """
    gamma, beta, mean, variance = (
        np.asarray(value, np.float64)
        for value in (norm.gamma, norm.beta, norm.moving_mean, norm.moving_variance)
    )
    scale = gamma / np.sqrt(variance + norm.epsilon)
    return scale, beta - mean * scale


def _held(value, dtype, name):
    """Weights as variables; in bfloat16 as constants of the graph.

    Constants let TensorFlow lay the weights out once instead of at each call: in bfloat16 1.6 times as fast
    at batch 1 and 1.07 times at batch 8. In float32 they gain nothing at batch 1 and 4 % at batch 8, for
    twice the size on disk and seconds more of loading.
    """
    value = tf.cast(value, dtype)
    return tf.Variable(value, trainable=False, name=name) if value.dtype == tf.float32 else value.numpy()


class FoldedConv2D:
    """A bias-free convolution and its batch norm, as a convolution with bias.

    The zeros around the image are the op's own: a copy that pads would be read and written once more.
    (Training pads by a copy, as the gradients of explicit padding miss the fast kernels.)

    Args:
        conv: built `PaddedConv2D`.
        norm: built `FusedBatchNorm`.
        dtype: of the kernel, the bias and what flows through, float32 or bfloat16. Folded in float64 first.
        name: of the variables.
    """

    def __init__(self, conv, norm, dtype, name):
        scale, shift = affine(norm)
        kernel = np.asarray(conv.kernel, np.float64) * scale
        self.kernel = _held(kernel, dtype, f"{name}/kernel")
        self.bias = _held(shift, dtype, f"{name}/bias")
        self.strides, padding = conv.strides, conv.padding
        self.padding = [[0, 0], [padding, padding], [padding, padding], [0, 0]] if padding else "VALID"
        if self.strides == 1 and 2 * padding == conv.kernel_size - 1:
            self.padding = "SAME"  # the same zeros at stride 1, and known to every kernel

    def __call__(self, x, add=None, relu=True):
        """[B, H, W, C] -> relu(conv x + bias + add), `add` of the output's shape or None."""
        y = tf.nn.bias_add(tf.nn.conv2d(x, self.kernel, self.strides, self.padding), self.bias)
        y = y if add is None else y + add
        return tf.nn.relu(y) if relu else y


class FoldedStem:
    """A `Stem`: convolution, ReLU, max pool.

    Args:
        stem: built `mmgl_tf.backbones.blocks.Stem`.
        dtype: as `FoldedConv2D`.
        name: of the variables.
    """

    def __init__(self, stem, dtype, name):
        self.conv = FoldedConv2D(stem.conv1, stem.bn1, dtype, f"{name}/conv1")
        self.pool = stem.maxpool  # without weights
        self._output_shape = stem.compute_output_shape

    def __call__(self, x):
        """[B, H, W, 3] -> [B, H / 4, W / 4, width]."""
        x = self.conv(x)
        if x.dtype != tf.float32:  # in bfloat16 the op's own padding takes three times as long as a copy
            return self.pool.call(x)
        sides = [self.pool.padding, self.pool.padding]
        return tf.nn.max_pool2d(x, self.pool.pool_size, self.pool.strides, [[0, 0], sides, sides, [0, 0]])

    def or_nothing(self, x):
        """The same where B may be 0: TF's fast convolution on CPUs gives no images a wrong shape."""
        shape = self._output_shape(x.shape)
        nothing = tf.zeros((0, *shape[1:]), x.dtype)
        return tf.ensure_shape(tf.cond(tf.shape(x)[0] > 0, lambda: self(x), lambda: nothing), shape)


class FoldedBlock:
    """A `BasicBlock` or `BottleneckBlock`.

    Args:
        block: built.
        dtype: as `FoldedConv2D`.
        name: of the variables.
    """

    def __init__(self, block, dtype, name):
        pairs = [(getattr(block, f"conv{i}", None), getattr(block, f"bn{i}", None)) for i in (1, 2, 3)]
        self.convs = [
            FoldedConv2D(conv, norm, dtype, f"{name}/{conv.name}") for conv, norm in pairs if conv is not None
        ]
        self.shortcut = None
        if block.project:
            self.shortcut = FoldedConv2D(
                block.downsample_conv, block.downsample_bn, dtype, f"{name}/downsample"
            )

    def __call__(self, x):
        """[B, H, W, C] -> [B, H / strides, W / strides, C']."""
        shortcut = x if self.shortcut is None else self.shortcut(x, relu=False)
        *inner, last = self.convs
        for conv in inner:
            x = conv(x)
        return last(x, add=shortcut)


class FoldedNonLocal:
    """A `NonLocal` block, the batch norm folded into the projection that it follows.

    Args:
        block: built `mmgl_tf.layers.non_local.NonLocal`.
        dtype: of the 1x1 convolutions; the products over positions are float32.
        name: of the variables.
    """

    def __init__(self, block, dtype, name):
        def variable(value, what):
            return tf.Variable(tf.cast(value, dtype), trainable=False, name=f"{name}/{what}")

        inner = (block.theta, block.phi, block.g)
        self.kernel = variable(np.concatenate([layer.kernel for layer in inner], axis=1), "inner/kernel")
        self.bias = variable(np.concatenate([layer.bias for layer in inner], axis=0), "inner/bias")
        scale, shift = affine(block.norm)
        kernel, bias = (np.asarray(value, np.float64) for value in (block.project.kernel, block.project.bias))
        self.project = variable(kernel * scale, "project/kernel")
        self.project_bias = variable(bias * scale + shift, "project/bias")

    def __call__(self, x):
        """[B, H, W, C] -> the same shape and type."""
        _, height, width, channels = x.shape
        flat = tf.reshape(x, [-1, height * width, channels])
        inner = tf.cast(tf.matmul(flat, self.kernel) + self.bias, tf.float32)
        theta, phi, g = tf.split(inner, 3, axis=-1)
        gathered = tf.matmul(phi, g, transpose_a=True) / float(height * width)  # [B, d, d]
        y = tf.cast(tf.matmul(theta, gathered), x.dtype)
        return tf.reshape(flat + tf.matmul(y, self.project) + self.project_bias, tf.shape(x))
