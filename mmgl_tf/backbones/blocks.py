"""The pieces of a ResNet (He et al., 2016; torchvision's v1.5): residual blocks, stages of them, the stem."""

import zlib

import keras
import tensorflow as tf

from mmgl_tf.layers.convolution import PaddedConv2D, PaddedMaxPool2D
from mmgl_tf.layers.normalization.batch_norm import FusedBatchNorm


def kernel_seed(seed, key):
    """Seed of one kernel: a pure function of the run's seed and the kernel's place, not of the building
    order.

    Args:
        seed: integer of the network.
        key: the kernel's place, such as "layer1/0/conv1".

    Returns:
        An integer in [0, 2^31).
    """
    return zlib.crc32(f"{seed}/{key}".encode()) & 0x7FFFFFFF


@keras.saving.register_keras_serializable(package="mmgl_tf")
class BasicBlock(keras.layers.Layer):
    """Two 3x3 convolutions and a shortcut (ResNet-18 and -34): y = relu(bn(conv(relu(bn(conv x)))) + shortcut
    x).

    Args:
        width: channels of both convolutions and of the output.
        strides: step of the first convolution and of the shortcut, pixels.
        project: True for a shortcut with a 1x1 convolution and batch norm, False for the identity.
        place: where the block stands, such as "layer1/0"; with `seed` it fixes the initial kernels.
        seed: integer of the network.
        zero_init_residual: True starts the last batch norm's gamma at 0, so that the block begins as its
            shortcut.
        **kwargs: name, dtype, trainable.
    """

    expansion = 1

    def __init__(self, width, strides=1, project=False, place="", seed=0, zero_init_residual=False, **kwargs):
        super().__init__(**kwargs)
        self.width, self.strides, self.project, self.place, self.seed = width, strides, project, place, seed
        self.zero_init_residual = zero_init_residual
        self._make_convolutions()
        if project:
            self.downsample_conv = self._conv("downsample_conv", width * self.expansion, 1, strides)
            self.downsample_bn = self._norm("downsample_bn")

    def _make_convolutions(self):
        self.conv1 = self._conv("conv1", self.width, 3, self.strides)
        self.bn1 = self._norm("bn1")
        self.conv2 = self._conv("conv2", self.width, 3)
        self.bn2 = self._norm("bn2", last=True)

    def _conv(self, name, filters, kernel_size, strides=1):
        seed = kernel_seed(self.seed, f"{self.place}/{name}")
        return PaddedConv2D(filters, kernel_size, strides, seed=seed, name=name, dtype=self.dtype_policy)

    def _norm(self, name, last=False):
        gamma = "zeros" if last and self.zero_init_residual else "ones"
        return FusedBatchNorm(gamma_initializer=gamma, name=name, dtype=self.dtype_policy)

    def _chain(self):
        return [(self.conv1, self.bn1), (self.conv2, self.bn2)]

    def build(self, input_shape):
        """Builds every layer; only the channels of `input_shape` are read."""
        channels = input_shape[-1]
        for conv, norm in self._chain():
            conv.build((None, None, None, channels))
            channels = conv.filters
            norm.build((None, None, None, channels))
        if self.project:
            self.downsample_conv.build((None, None, None, input_shape[-1]))
            self.downsample_bn.build((None, None, None, channels))
        elif input_shape[-1] != channels:
            raise ValueError(
                f"Block {self.place or self.name!r} got {input_shape[-1]} channels; expected {channels} for "
                "an identity shortcut. Set project=True."
            )
        self.built = True

    def call(self, inputs, training=None):
        """[B, H, W, C] -> [B, H / strides, W / strides, width x expansion], compute dtype."""
        *inner, (last_conv, last_norm) = self._chain()
        x = inputs
        for conv, norm in inner:
            x = tf.nn.relu(norm(conv(x), training=training))
        x = last_norm(last_conv(x), training=training)
        shortcut = inputs
        if self.project:
            shortcut = self.downsample_bn(self.downsample_conv(inputs), training=training)
        return tf.nn.relu(x + shortcut)

    def compute_output_shape(self, input_shape):
        """Shape of the output for one input shape."""
        for conv, _ in self._chain():
            input_shape = conv.compute_output_shape(input_shape)
        return input_shape

    def get_config(self):
        """Constructor arguments, for saving."""
        return super().get_config() | {
            "width": self.width,
            "strides": self.strides,
            "project": self.project,
            "place": self.place,
            "seed": self.seed,
            "zero_init_residual": self.zero_init_residual,
        }


@keras.saving.register_keras_serializable(package="mmgl_tf")
class BottleneckBlock(BasicBlock):
    """1x1, 3x3 and 1x1 convolutions and a shortcut (ResNet-50); the output has 4 x width channels.

    The stride sits in the 3x3 convolution (torchvision's v1.5): in the first 1x1 it would skip three quarters
    of the input.
    """

    expansion = 4

    def _make_convolutions(self):
        self.conv1 = self._conv("conv1", self.width, 1)
        self.bn1 = self._norm("bn1")
        self.conv2 = self._conv("conv2", self.width, 3, self.strides)
        self.bn2 = self._norm("bn2")
        self.conv3 = self._conv("conv3", self.width * self.expansion, 1)
        self.bn3 = self._norm("bn3", last=True)

    def _chain(self):
        return [(self.conv1, self.bn1), (self.conv2, self.bn2), (self.conv3, self.bn3)]


@keras.saving.register_keras_serializable(package="mmgl_tf")
class Stage(keras.layers.Layer):
    """Blocks at one resolution; only the first one strides and projects.

    Args:
        block: "basic" or "bottleneck".
        depth: number of blocks.
        width: channels inside the blocks.
        strides: step of the first block, pixels.
        project: True where the first block needs a projected shortcut.
        seed: integer of the network.
        zero_init_residual: see `BasicBlock`.
        **kwargs: name (such as "layer1"), dtype, trainable.
    """

    def __init__(self, block, depth, width, strides, project, seed=0, zero_init_residual=False, **kwargs):
        super().__init__(**kwargs)
        self.block, self.depth, self.width = block, depth, width
        self.strides, self.project, self.seed = strides, project, seed
        self.zero_init_residual = zero_init_residual
        make = {"basic": BasicBlock, "bottleneck": BottleneckBlock}[block]
        for i in range(depth):
            block = make(
                width,
                strides=strides if i == 0 else 1,
                project=project and i == 0,
                place=f"{self.name}/{i}",
                seed=seed,
                zero_init_residual=zero_init_residual,
                name=str(i),
                dtype=self.dtype_policy,
            )
            # An attribute rather than a list's member, so that weights files say "layer1/0/conv1".
            setattr(self, str(i), block)

    @property
    def blocks(self):
        """The blocks in order."""
        return [getattr(self, str(i)) for i in range(self.depth)]

    @property
    def num_features(self):
        """Channels of the output."""
        return self.blocks[-1].width * self.blocks[-1].expansion

    def build(self, input_shape):
        """Builds every block; only the channels of `input_shape` are read."""
        for block in self.blocks:
            block.build(input_shape)
            input_shape = (None, None, None, block.width * block.expansion)
        self.built = True

    def call(self, inputs, training=None, after_block=None):
        """[B, H, W, C] -> [B, H / strides, W / strides, width x expansion], compute dtype.

        `after_block` is {block number: layer that its output goes through}.
        """
        for i, block in enumerate(self.blocks):
            inputs = block(inputs, training=training)
            if after_block and i in after_block:
                inputs = after_block[i](inputs, training=training)
        return inputs

    def compute_output_shape(self, input_shape):
        """Shape of the output for one input shape."""
        for block in self.blocks:
            input_shape = block.compute_output_shape(input_shape)
        return input_shape

    def get_config(self):
        """Constructor arguments, for saving."""
        return super().get_config() | {
            "block": self.block,
            "depth": self.depth,
            "width": self.width,
            "strides": self.strides,
            "project": self.project,
            "seed": self.seed,
            "zero_init_residual": self.zero_init_residual,
        }


@keras.saving.register_keras_serializable(package="mmgl_tf")
class Stem(keras.layers.Layer):
    """First convolution (stride 2), batch norm, ReLU and 3x3 max pool (stride 2).

    Args:
        width: output channels.
        kernel_size: of the convolution, pixels.
        place: with `seed` it fixes the initial kernel; stems of the same place start equal.
        seed: integer of the network.
        **kwargs: name, dtype, trainable.
    """

    def __init__(self, width=64, kernel_size=7, place="stem", seed=0, **kwargs):
        super().__init__(**kwargs)
        self.width, self.kernel_size, self.place, self.seed = width, kernel_size, place, seed
        dtype = self.dtype_policy
        conv_seed = kernel_seed(seed, f"{place}/conv1")
        self.conv1 = PaddedConv2D(width, kernel_size, 2, seed=conv_seed, name="conv1", dtype=dtype)
        self.bn1 = FusedBatchNorm(name="bn1", dtype=dtype)
        self.maxpool = PaddedMaxPool2D(3, 2, name="maxpool", dtype=dtype)

    def build(self, input_shape):
        """Builds every layer; only the channels of `input_shape` are read."""
        self.conv1.build(input_shape)
        self.bn1.build((None, None, None, self.width))
        self.maxpool.build((None, None, None, self.width))
        self.built = True

    def call(self, inputs, training=None):
        """[B, H, W, 3] -> [B, H / 4, W / 4, width], compute dtype; sizes round up."""
        return self.maxpool(tf.nn.relu(self.bn1(self.conv1(inputs), training=training)))

    def compute_output_shape(self, input_shape):
        """Shape of the output for one input shape."""
        return self.maxpool.compute_output_shape(self.conv1.compute_output_shape(input_shape))

    def get_config(self):
        """Constructor arguments, for saving."""
        return super().get_config() | {
            "width": self.width,
            "kernel_size": self.kernel_size,
            "place": self.place,
            "seed": self.seed,
        }
