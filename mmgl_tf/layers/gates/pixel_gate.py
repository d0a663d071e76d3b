"""The fine half of an NFS-style search cell: which places of a feature map go on.

Legend: B images, H W rows and columns of the feature map, C channels.
"""

import keras
import tensorflow as tf

from mmgl_tf.layers.full_precision import at_least_float32
from mmgl_tf.layers.gates.channel_gate import OPEN


@keras.saving.register_keras_serializable(package="mmgl_tf")
class PixelGate(keras.layers.Layer):
    """Logits of one gate for each place: l = 1x1 convolution C -> 1, with bias.

    The kernel starts at 0 and the bias at 3: every logit starts at 3, so a trunk that was trained before goes
    on as it was.

    NFS has published no code; this is our reading of its search over pixels.

    Args:
        **kwargs: name, dtype, trainable.
    """

    def __init__(self, **kwargs):
        # As in `ChannelGate`.
        super().__init__(autocast=False, **kwargs)

    def build(self, input_shape):
        """Makes `kernel` [C, 1] and `bias` [1]; only the channels are read."""
        self.kernel = self.add_weight(
            name="kernel", shape=(input_shape[-1], 1), initializer="zeros", autocast=False
        )
        self.bias = self.add_weight(
            name="bias", shape=(1,), initializer=keras.initializers.Constant(OPEN), autocast=False
        )
        self.built = True

    def call(self, inputs):
        """Logits.

        Args:
            inputs: [B, H, W, C], any float type.

        Returns:
            float32 [B, H, W, 1].
        """
        shape = tf.shape(inputs)
        rows = tf.reshape(at_least_float32(inputs), [-1, inputs.shape[-1]])
        logits = tf.matmul(rows, tf.convert_to_tensor(self.kernel)) + self.bias
        return tf.reshape(logits, [shape[0], shape[1], shape[2], 1])

    def compute_output_shape(self, input_shape):
        """(B, H, W, 1) of (B, H, W, C)."""
        return (*input_shape[:-1], 1)
