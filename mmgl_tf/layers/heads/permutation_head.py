"""The head that scores which original position each shuffled stripe came from (MMGL section on Eq. 3).

Legend: B images, N stripes, h w rows and columns of the feature map, C channels.
"""

import keras
import tensorflow as tf

from mmgl_tf.layers.full_precision import full_precision


@keras.saving.register_keras_serializable("mmgl")
class PermutationHead(keras.layers.Layer):
    """Global average pooling and one dense layer to N x N affinity scores.

    One head serves both modalities; no batch norm or dropout stands between pooling and scores.
    Always float32, also under mixed precision.

    Choice: the initial weights are small (standard deviation 0.001, flag `perm_init_stddev`), so that
    the first soft permutations are shaped by the Gumbel noise alone.

    Args:
        num_stripes: N.
        init_stddev: standard deviation of the initial weights, at least 0.
        seed: of the initial weights; None draws from the global generator.
    """

    def __init__(self, num_stripes, init_stddev=0.001, seed=None, **kwargs):
        kwargs["dtype"] = full_precision()
        super().__init__(**kwargs)
        self.num_stripes = num_stripes
        self.init_stddev = init_stddev
        self.seed = seed
        self.affinity = keras.layers.Dense(
            num_stripes * num_stripes,
            kernel_initializer=keras.initializers.RandomNormal(stddev=init_stddev, seed=seed),
            name="affinity",
            dtype=full_precision(),
        )

    def build(self, input_shape):
        """Makes the dense layer for [B, h, w, C]."""
        self.affinity.build((input_shape[0], input_shape[-1]))
        super().build(input_shape)

    def call(self, feature_map):
        """Scores every pair of shuffled slot and original position.

        Args:
            feature_map: [B, h, w, C], any float type; Keras casts it to the layer's float32.

        Returns:
            float32 [B, N, N]; rows are shuffled slots, columns original positions.
        """
        pooled = tf.reduce_mean(feature_map, axis=[1, 2])
        return tf.reshape(self.affinity(pooled), [-1, self.num_stripes, self.num_stripes])

    def get_config(self):
        """The constructor's arguments."""
        return {
            **super().get_config(),
            "num_stripes": self.num_stripes,
            "init_stddev": self.init_stddev,
            "seed": self.seed,
        }
