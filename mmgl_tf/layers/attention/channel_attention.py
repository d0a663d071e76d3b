"""Channel self-attention (Fu et al., 2019, DANet; CAM in VCD): channels that differ complete each other.

Legend: B images, H W rows and columns of the feature map, N = H W places, C channels.
"""

import keras
import tensorflow as tf

from mmgl_tf.layers.full_precision import at_least_float32


@keras.saving.register_keras_serializable(package="mmgl_tf")
class ChannelSelfAttention(keras.layers.Layer):
    """Adds to every channel a weighted mean of all channels, by how little they resemble it.

    With an image's channels as the rows of X [C, N]:

        G   = X X^T,   A = softmax over columns of (rowmax(G) - G)          [C, C]
        out = gamma A X + X

    No projections and no scaling; gamma, one number, starts at 0, so the layer starts as the identity and a
    pre-trained trunk is not disturbed. Products are float32 under mixed precision: sums over 2048 places
    overflow float16. A is the largest thing kept, B C^2 numbers.

    Args:
        **kwargs: name, dtype, trainable.
    """

    def build(self, input_shape):
        """Makes `gamma` [1]."""
        if len(input_shape) != 4:
            raise ValueError(
                f"ChannelSelfAttention {self.name!r} got input shape {tuple(input_shape)}; expected "
                "[B, H, W, C]."
            )
        self.gamma = self.add_weight(name="gamma", shape=(1,), initializer="zeros", autocast=False)
        self.built = True

    def call(self, inputs):
        """Attends.

        Args:
            inputs: [B, H, W, C], compute dtype.

        Returns:
            The shape and dtype of `inputs`.
        """
        shape = tf.shape(inputs)
        x = tf.reshape(at_least_float32(inputs), [-1, shape[1] * shape[2], inputs.shape[-1]])  # [B, N, C]
        products = tf.matmul(x, x, transpose_a=True)  # [B, C, C]
        # softmax subtracts the row's largest by itself: of -G that is what rowmax(G) - G comes to.
        attention = tf.nn.softmax(-products, axis=-1)
        completed = tf.matmul(x, attention, transpose_b=True)
        return tf.cast(tf.reshape(self.gamma * completed + x, shape), inputs.dtype)

    def compute_output_shape(self, input_shape):
        """The input's shape."""
        return input_shape
