"""An NFS-style cell of neural feature search (after Chen et al., 2021): channels first, then places.

Legend: B images, H W rows and columns of the feature map, C channels.
"""

import keras
import tensorflow as tf

from mmgl_tf.layers.gates.binary_concrete import binary_concrete
from mmgl_tf.layers.gates.channel_gate import ChannelGate
from mmgl_tf.layers.gates.pixel_gate import PixelGate
from mmgl_tf.layers.seeded_uniform import seed_of


@keras.saving.register_keras_serializable(package="mmgl_tf")
class SearchCell(keras.layers.Layer):
    """Lets some channels and places of a feature map through, of one modality.

        a   = gates of `ChannelGate` on x                      [B, C], 0 or 1
        m   = gates of `PixelGate` on x a                      [B, H, W, 1], 0 or 1
        out = x a m,   or x + x a m                            residual

    With all gates open it is the identity (residual: twice the map). Where all channels or all places of an
    image would close, they stay open, or its features would be 0; the gradient is that of the gates still.

    NFS has published no code; this is a reconstruction, and its own choices are listed in `ChannelGate` and
    here.

    Args:
        reduction: of `ChannelGate`; 0 for gates that do not look at the image.
        residual: True adds the map to what went through.
        place: with `seed` it fixes the initial values; None for the layer's name.
        seed: integer of the network.
        **kwargs: name, dtype, trainable.
    """

    def __init__(self, reduction=16, residual=False, place=None, seed=0, **kwargs):
        # The trunk says in what type it computes; serving may use another than training did.
        super().__init__(autocast=False, **kwargs)
        self.reduction, self.residual, self.seed = reduction, residual, seed
        self.place = self.name if place is None else place
        self.channels = ChannelGate(
            reduction, f"{self.place}/channels", seed, name="channels", dtype=self.dtype_policy
        )
        self.pixels = PixelGate(name="pixels", dtype=self.dtype_policy)

    def build(self, input_shape):
        """Makes every weight; only the channels are read."""
        self.channels.build(input_shape)
        self.pixels.build(input_shape)
        self.built = True

    def call(self, inputs, temperature=1.0, training=False, seed=None):
        """Gates.

        Args:
            inputs: [B, H, W, C], any float type.
            temperature: of `binary_concrete`, a number or a scalar tensor.
            training: True for noise.
            seed: int32 [2], or int32 [B, 2], one for each image; needed in training.

        Returns:
            (map of the shape and dtype of `inputs`; float32 [B, 2], the shares of channels and of places that
            are open, an image a row).
        """
        seeds = [seed_of(seed, place) if training and seed is not None else None for place in (0, 1)]
        channels = binary_concrete(self.channels(inputs), temperature, training, seeds[0])
        channels = _never_all_closed(channels, axis=[1])
        x = inputs * tf.cast(channels, inputs.dtype)[:, tf.newaxis, tf.newaxis]
        pixels = binary_concrete(self.pixels(x), temperature, training, seeds[1])
        pixels = _never_all_closed(pixels, axis=[1, 2, 3])
        x *= tf.cast(pixels, inputs.dtype)
        kept = tf.stack([tf.reduce_mean(channels, axis=1), tf.reduce_mean(pixels, axis=[1, 2, 3])], axis=1)
        return (inputs + x if self.residual else x), tf.stop_gradient(tf.cast(kept, tf.float32))

    def compute_output_shape(self, input_shape):
        """Shapes of the map and of the shares."""
        return input_shape, (input_shape[0], 2)

    def get_config(self):
        """Constructor arguments, for saving."""
        return super().get_config() | {
            "reduction": self.reduction,
            "residual": self.residual,
            "place": self.place,
            "seed": self.seed,
        }


def _never_all_closed(gates, axis):
    """Adds 1 to all gates of an image that has none open; a constant, so gradients stay."""
    closed = tf.reduce_max(gates, axis=axis, keepdims=True) < 0.5
    return gates + tf.cast(closed, gates.dtype)
