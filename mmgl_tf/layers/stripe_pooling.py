"""Average pooling of a feature map into horizontal stripes, one vector per slot.

Legend: B images, N stripes, h w rows and columns of the feature map, C channels.
"""

import keras
import tensorflow as tf

from mmgl_tf.layers.full_precision import full_precision


@keras.saving.register_keras_serializable("mmgl")
class StripePooling(keras.layers.Layer):
    """Averages each of N equally high bands of rows, over all columns.

    The paper's pipeline figure pools before it projects, as PCB does. Always float32, also under
    mixed precision.

    Args:
        num_stripes: N; must divide the number of rows of the feature map.
    """

    def __init__(self, num_stripes, **kwargs):
        kwargs["dtype"] = full_precision()
        super().__init__(**kwargs)
        self.num_stripes = num_stripes

    def build(self, input_shape):
        """Checks that the stripes fit the rows of [B, h, w, C]."""
        rows = input_shape[1]
        if rows is None:
            raise ValueError(
                f"StripePooling got a feature map of shape {tuple(input_shape)}; expected a known number of "
                "rows. Build the model with a fixed image height."
            )
        if rows % self.num_stripes:
            divisors = [n for n in range(2, rows + 1) if rows % n == 0]
            raise ValueError(
                f"StripePooling got {self.num_stripes} stripes and a feature map of {rows} rows; expected a "
                f"number of stripes that divides the rows. Choose num_stripes from {divisors}, or change the "
                "image height (16 image rows make one feature row)."
            )
        super().build(input_shape)

    def call(self, feature_map):
        """Pools.

        Args:
            feature_map: [B, h, w, C], any float type; Keras casts it to the layer's float32.

        Returns:
            float32 [B, N, C], slot 0 is the top of the (shuffled) image.
        """
        rows, columns, channels = feature_map.shape[1:]
        bands = tf.reshape(feature_map, [-1, self.num_stripes, rows // self.num_stripes * columns, channels])
        return tf.reduce_mean(bands, axis=2)

    def get_config(self):
        """The constructor's arguments."""
        return {**super().get_config(), "num_stripes": self.num_stripes}
