"""DDAG's intra-modality weighted-part aggregation, IWPA (Ye et al., 2020): stripes look at each other.

Legend: B images, P parts, H W rows and columns of the feature map, C channels.
"""

import keras
import tensorflow as tf

from mmgl_tf.layers.attention.adaptive_stripes import adaptive_stripes
from mmgl_tf.layers.full_precision import full_precision
from mmgl_tf.layers.heads.batch_norm_neck import BatchNormNeck
from mmgl_tf.layers.linear import Linear


@keras.saving.register_keras_serializable(package="mmgl_tf")
class PartAggregation(keras.layers.Layer):
    """Adds to an image's feature what its horizontal parts say of each other; always float32.

        parts    = P stripes of the feature map            [P, C]
        Q, K, V  = 1x1 convolutions of the parts, with bias
        A        = softmax over q of Q_p . K_q             [P, P], not scaled
        s        = sum_p softmax(gate)_p sum_q A_pq V_q
        out      = BN(s + feature)

    The feature is that *behind* the global neck, in the released code. Batch norm is a neck of its own,
    without offset. The convolutions start as PyTorch's, uniform within +-1/sqrt(C), the gate at 1 / P.

    The bias of K adds the same to a whole row of the softmax, that of V the same to every image's sum, and
    softmax and batch norm take them away again: the gradients of "key/bias" and "value/bias" are rounding.
    In inference the latter counts, against moving statistics that know it. (The released layer has another
    convolution and batch norm that nothing uses; they are not here.)

    Args:
        parts: P; 3 in DDAG.
        place: with `seed` it fixes the initial values; None for the layer's name.
        seed: integer of the network.
        **kwargs: name, trainable.
    """

    def __init__(self, parts=3, place=None, seed=0, **kwargs):
        kwargs["dtype"] = full_precision()
        super().__init__(**{"name": "parts", **kwargs})
        if not isinstance(parts, int) or parts < 1:
            raise ValueError(f"PartAggregation got parts={parts!r}; expected an integer of at least 1.")
        self.parts, self.seed = parts, seed
        self.place = self.name if place is None else place

    def build(self, input_shape):
        """Makes the weights; only the channels of the feature map's shape are read."""
        channels = input_shape[-1]
        for name in ("query", "key", "value"):
            linear = Linear(channels, place=f"{self.place}/{name}", seed=self.seed, name=name)
            linear.build((None, channels))
            setattr(self, name, linear)
        self.gate = self.add_weight(
            name="gate", shape=(self.parts,), initializer=keras.initializers.Constant(1.0 / self.parts)
        )
        self.neck = BatchNormNeck(seed=self.seed, name="neck")
        self.neck.build((None, channels))
        self.built = True

    def call(self, feature_map, feature, training=False):
        """Aggregates.

        Args:
            feature_map: [B, H, W, C], any float type; Keras casts it to the layer's float32.
            feature: [B, C], behind the global neck.
            training: True to use and record batch statistics.

        Returns:
            float32 [B, C].
        """
        return self.neck(self.before_neck(feature_map, feature), training=training)

    def before_neck(self, feature_map, feature):
        """What the neck normalises, s + feature; apart, so that serving can fold the neck.

        Args:
            feature_map, feature: as in `call`.

        Returns:
            float32 [B, C].
        """
        # Cast before the means over rows and columns, which half precision would round.
        parts = adaptive_stripes(tf.cast(feature_map, self.compute_dtype), self.parts)
        flat = tf.reshape(parts, [-1, parts.shape[-1]])
        query, key, value = (
            tf.reshape(linear(flat), tf.shape(parts)) for linear in (self.query, self.key, self.value)
        )
        attention = tf.nn.softmax(tf.matmul(query, key, transpose_b=True), axis=-1)  # [B, P, P]
        gate = tf.nn.softmax(tf.convert_to_tensor(self.gate))
        shares = tf.reduce_sum(gate[:, tf.newaxis] * attention, axis=1)  # [B, P], of each V
        return tf.reduce_sum(shares[..., tf.newaxis] * value, axis=1) + feature

    def compute_output_shape(self, input_shape, feature_shape=None):
        """(B, C) of (B, H, W, C)."""
        del feature_shape
        return (input_shape[0], input_shape[-1])

    def get_config(self):
        """Constructor arguments, for saving."""
        return super().get_config() | {"parts": self.parts, "place": self.place, "seed": self.seed}
