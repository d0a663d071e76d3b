"""A linear layer with normal initial values and bias 0, as the heads of re-identification have it.

Legend: B rows, C features in, D features out.
"""

import math
import zlib

import keras
import tensorflow as tf

from mmgl_tf.layers.full_precision import full_precision


@keras.saving.register_keras_serializable(package="mmgl_tf")
class NormalLinear(keras.layers.Layer):
    """y = x W + b, always float32; W starts N(0, deviation^2), b at 0.

    Args:
        units: D.
        deviation: of W's initial values; None for sqrt(2 / D), Kaiming's rule over the fan-out.
        place: with `seed` it fixes the initial values; None for the layer's name.
        seed: integer of the network.
        **kwargs: name, trainable.
    """

    def __init__(self, units, deviation=None, place=None, seed=0, **kwargs):
        kwargs["dtype"] = full_precision()
        super().__init__(**kwargs)
        if not isinstance(units, int) or units < 1:
            raise ValueError(
                f"NormalLinear {self.name!r} got units={units!r}; expected an integer of at least 1."
            )
        self.units, self.deviation, self.seed = units, deviation, seed
        self.place = self.name if place is None else place

    def build(self, input_shape):
        """Makes `kernel` [C, D] and `bias` [D]."""
        deviation = math.sqrt(2.0 / self.units) if self.deviation is None else self.deviation
        seed = zlib.crc32(f"{self.seed}/{self.place}/kernel".encode()) & 0x7FFFFFFF
        self.kernel = self.add_weight(
            name="kernel",
            shape=(input_shape[-1], self.units),
            initializer=keras.initializers.RandomNormal(stddev=deviation, seed=seed),
        )
        self.bias = self.add_weight(name="bias", shape=(self.units,), initializer="zeros")
        self.built = True

    def call(self, inputs):
        """float32 [B, C] -> float32 [B, D]."""
        return tf.matmul(inputs, tf.convert_to_tensor(self.kernel)) + self.bias

    def compute_output_shape(self, input_shape):
        """Shape of the output for one input shape."""
        return (*input_shape[:-1], self.units)

    def get_config(self):
        """Constructor arguments, for saving."""
        return super().get_config() | {
            "units": self.units,
            "deviation": self.deviation,
            "place": self.place,
            "seed": self.seed,
        }
