"""A linear layer with PyTorch's initial values, which the heads of the self-supervised methods assume.

Legend: B rows, C features in, D features out.
"""

import math
import zlib

import keras
import tensorflow as tf

from mmgl_tf.layers.full_precision import full_precision

BIASES = (True, False, "frozen")


@keras.saving.register_keras_serializable(package="mmgl_tf")
class Linear(keras.layers.Layer):
    """y = x W + b, always float32, also under mixed precision.

    W and b start uniform within +-1/sqrt(C), as `torch.nn.Linear` draws them. (Keras draws W by Glorot's rule
    and sets b to 0.)

    Args:
        units: D.
        bias: True; False for none; "frozen" for one that is 0 and stays so: no optimiser sees it. SimSiam has
            that in front of a batch norm, which subtracts any bias again.
        place: with `seed` it fixes the initial values, such as "projector/linear1"; None for the layer's
            name.
        seed: integer of the network.
        **kwargs: name, trainable.
    """

    def __init__(self, units, bias=True, place=None, seed=0, **kwargs):
        kwargs["dtype"] = full_precision()
        super().__init__(**kwargs)
        if not isinstance(units, int) or units < 1:
            raise ValueError(f"Linear {self.name!r} got units={units!r}; expected an integer of at least 1.")
        if bias not in BIASES:
            raise ValueError(f"Linear {self.name!r} got bias={bias!r}; expected True, False or 'frozen'.")
        self.units, self.bias_kind, self.seed = units, bias, seed
        self.place = self.name if place is None else place

    def build(self, input_shape):
        """Makes `kernel` [C, D] and `bias` [D]; only the channels of `input_shape` are read."""
        channels = input_shape[-1]
        limit = 1.0 / math.sqrt(channels)

        def uniform(what):  # a pure function of seed and place, not of the building order
            seed = zlib.crc32(f"{self.seed}/{self.place}/{what}".encode()) & 0x7FFFFFFF
            return keras.initializers.RandomUniform(-limit, limit, seed=seed)

        self.kernel = self.add_weight(
            name="kernel", shape=(channels, self.units), initializer=uniform("kernel")
        )
        self.bias = None
        if self.bias_kind:
            frozen = self.bias_kind == "frozen"
            self.bias = self.add_weight(
                name="bias",
                shape=(self.units,),
                initializer="zeros" if frozen else uniform("bias"),
                trainable=not frozen,
            )
        self.built = True

    def call(self, inputs):
        """float32 [B, C] -> float32 [B, D]."""
        product = tf.matmul(inputs, tf.convert_to_tensor(self.kernel))
        return product if self.bias is None else product + self.bias

    def compute_output_shape(self, input_shape):
        """Shape of the output for one input shape."""
        return (*input_shape[:-1], self.units)

    def get_config(self):
        """Constructor arguments, for saving."""
        return super().get_config() | {
            "units": self.units,
            "bias": self.bias_kind,
            "place": self.place,
            "seed": self.seed,
        }
