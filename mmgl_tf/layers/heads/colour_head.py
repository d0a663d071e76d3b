"""The head of colorization: a score for each colour bin at every fourth pixel.

Legend: B images, h w rows and columns of the feature map, C channels, Q bins.
"""

import zlib

import keras
import tensorflow as tf

from mmgl_tf.layers.convolution import PaddedConv2D
from mmgl_tf.layers.linear import Linear
from mmgl_tf.layers.normalization.batch_norm import FusedBatchNorm


@keras.saving.register_keras_serializable(package="mmgl_tf")
class ColourHead(keras.layers.Layer):
    """3x3 convolution, batch norm, ReLU, bilinear enlargement, 1x1 convolution to Q bins.

    The enlargement puts output i at cell i / scale: a trunk of symmetric paddings centres cell j on pixel
    16 j, and the colours are those of pixel 4 i. Enlarging corner on corner would read six pixels beside it.
    It is done last: a 1x1 convolution and an interpolation whose weights sum to 1 may change places, bias and
    all, and fifteen sixteenths of the 1x1 convolution are saved.

    The 3x3 convolution and its batch norm have the layer's dtype, as the trunk's: it costs three tenths of
    what the trunk of a ResNet-50 does. Scores are float32, also under mixed precision.

    Args:
        num_bins: Q.
        width: channels of the 3x3 convolution.
        scale: cells of the output per cell of the feature map and axis; 4 turns a stride of 16 pixels into 4.
        place: with `seed` it fixes the initial values; None for the layer's name.
        seed: integer of the network.
        **kwargs: name, dtype, trainable.
    """

    def __init__(self, num_bins, width=512, scale=4, place=None, seed=0, **kwargs):
        super().__init__(**{"name": "colour_head", **kwargs})
        self.num_bins, self.width, self.scale, self.seed = num_bins, width, scale, seed
        self.place = self.name if place is None else place
        conv_seed = zlib.crc32(f"{seed}/{self.place}/conv".encode()) & 0x7FFFFFFF
        self.conv = PaddedConv2D(width, 3, seed=conv_seed, name="conv", dtype=self.dtype_policy)
        self.norm = FusedBatchNorm(name="norm", dtype=self.dtype_policy)
        self.classifier = Linear(num_bins, place=f"{self.place}/classifier", seed=seed, name="classifier")

    def build(self, input_shape):
        """Makes the weights; only the channels of `input_shape` are read."""
        self.conv.build(input_shape)
        self.norm.build((None, None, None, self.width))
        self.classifier.build((None, self.width))
        self.built = True

    def call(self, feature_map, training=False):
        """Scores.

        Args:
            feature_map: [B, h, w, C], any float type.
            training: True to use and record batch statistics.

        Returns:
            float32 [B, scale h, scale w, Q].
        """
        x = tf.nn.relu(self.norm(self.conv(feature_map), training=training))
        rows, columns = feature_map.shape[1:3]
        scores = self.classifier(tf.reshape(x, [-1, self.width]))
        scores = tf.reshape(scores, [-1, rows, columns, self.num_bins])
        size = [self.scale * rows, self.scale * columns]
        larger = tf.raw_ops.ResizeBilinear(images=scores, size=size, half_pixel_centers=False)
        return tf.cast(larger, scores.dtype)  # the op gives float32, whatever it gets

    def compute_output_shape(self, input_shape):
        """Shape of the output for one input shape."""
        batch, rows, columns, _ = input_shape
        return (batch, self.scale * rows, self.scale * columns, self.num_bins)

    def get_config(self):
        """Constructor arguments, for saving."""
        return super().get_config() | {
            "num_bins": self.num_bins,
            "width": self.width,
            "scale": self.scale,
            "place": self.place,
            "seed": self.seed,
        }
