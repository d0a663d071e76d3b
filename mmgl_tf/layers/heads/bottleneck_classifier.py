"""The classifier of identities on VCD's representation (Tian et al., 2021).

Legend: B images, Z size of the representation, K identities.
"""

import keras
import tensorflow as tf

from mmgl_tf.layers.dropout import dropout
from mmgl_tf.layers.full_precision import full_precision
from mmgl_tf.layers.normal_linear import NormalLinear
from mmgl_tf.layers.normalization.batch_norm import FusedBatchNorm


@keras.saving.register_keras_serializable(package="mmgl_tf")
class BottleneckClassifier(keras.layers.Layer):
    """Z -> 256, BN, LeakyReLU, dropout -> K; always float32.

    Both linear layers start N(0, 0.001^2) with bias 0, the batch norm with gamma 1 and beta 0. It takes away
    the bias in front of it, so the gradient of "linear1/bias" is rounding.

    Args:
        classes: K.
        width: of the hidden layer.
        slope: of LeakyReLU below 0.
        rate: of dropout, in [0, 1).
        place: with `seed` it fixes the initial values; None for the layer's name.
        seed: integer of the network.
        **kwargs: name, trainable.
    """

    def __init__(self, classes, width=256, slope=0.1, rate=0.5, place=None, seed=0, **kwargs):
        kwargs["dtype"] = full_precision()
        super().__init__(**{"name": "bottleneck_classifier", **kwargs})
        self.classes, self.width, self.slope, self.rate, self.seed = classes, width, slope, rate, seed
        self.place = self.name if place is None else place
        self.linear1 = NormalLinear(width, 0.001, f"{self.place}/linear1", seed, name="linear1")
        self.norm = FusedBatchNorm(name="norm", dtype=full_precision())
        self.linear2 = NormalLinear(classes, 0.001, f"{self.place}/linear2", seed, name="linear2")

    def build(self, input_shape):
        """Makes every weight; only the channels are read."""
        self.linear1.build(input_shape)
        self.norm.build((None, self.width))
        self.linear2.build((None, self.width))
        self.built = True

    def call(self, representation, training=False, seed=None):
        """Logits.

        Args:
            representation: [B, Z].
            training: True to use and record batch statistics, and for dropout.
            seed: int32 [2], needed for dropout, or int32 [B, 2], one for each image.

        Returns:
            float32 [B, K].
        """
        x = self.norm(self.linear1(representation), training=training)
        x = tf.nn.leaky_relu(x, alpha=self.slope)
        if training:
            x = dropout(x, self.rate, seed)
        return self.linear2(x)

    def compute_output_shape(self, input_shape):
        """(B, K) of (B, Z)."""
        return (*input_shape[:-1], self.classes)

    def get_config(self):
        """Constructor arguments, for saving."""
        return super().get_config() | {
            "classes": self.classes,
            "width": self.width,
            "slope": self.slope,
            "rate": self.rate,
            "place": self.place,
            "seed": self.seed,
        }
