"""The prototypes of SwAV (Caron et al., 2020): points on the sphere that images are assigned to.

Legend: B images, D embedding size, K prototypes.
"""

import math
import zlib

import keras
import tensorflow as tf

from mmgl_tf.layers.full_precision import full_precision


@keras.saving.register_keras_serializable(package="mmgl_tf")
class Prototypes(keras.layers.Layer):
    """Scores of embeddings by prototypes: x W^T, W [K, D] with rows of unit length, no bias; float32.

    For embeddings of unit length a score is a cosine. An optimiser's step leaves the rows at other lengths:
    call `normalise` after it, outside of the tape. Gradients do not go through the normalisation, as in the
    released code. Rows start uniform within +-1/sqrt(D) (`torch.nn.Linear`), then normalised.

    Args:
        count: K.
        place: with `seed` it fixes the initial values; None for the layer's name.
        seed: integer of the network.
        **kwargs: name, trainable.
    """

    def __init__(self, count, place=None, seed=0, **kwargs):
        kwargs["dtype"] = full_precision()
        super().__init__(**{"name": "prototypes", **kwargs})
        if not isinstance(count, int) or count < 1:
            raise ValueError(
                f"Prototypes got count={count!r}; expected an integer of at least 1, such as 500."
            )
        self.count, self.seed = count, seed
        self.place = self.name if place is None else place

    def build(self, input_shape):
        """Makes `kernel` [K, D]; only the channels of `input_shape` are read."""
        size = input_shape[-1]
        limit = 1.0 / math.sqrt(size)
        seed = zlib.crc32(f"{self.seed}/{self.place}/kernel".encode()) & 0x7FFFFFFF
        self.kernel = self.add_weight(
            name="kernel",
            shape=(self.count, size),
            initializer=keras.initializers.RandomUniform(-limit, limit, seed=seed),
        )
        self.normalise()
        self.built = True

    def normalise(self):
        """Sets every prototype to unit length; one of length 0 stays as it is."""
        self.kernel.assign(self.normalised())

    def normalised(self):
        """The prototypes in unit length, [K, D], without assigning them."""
        kernel = tf.convert_to_tensor(self.kernel)
        return tf.math.divide_no_nan(kernel, tf.norm(kernel, axis=1, keepdims=True))

    def call(self, embeddings):
        """Scores.

        Args:
            embeddings: [B, D], of unit length.

        Returns:
            float32 [B, K], in [-1, 1] as long as both are of unit length.
        """
        return tf.matmul(embeddings, tf.convert_to_tensor(self.kernel), transpose_b=True)

    def compute_output_shape(self, input_shape):
        """Shape of the output for one input shape."""
        return (*input_shape[:-1], self.count)

    def get_config(self):
        """Constructor arguments, for saving."""
        return super().get_config() | {"count": self.count, "place": self.place, "seed": self.seed}
