"""The type of everything behind the trunk: float32, also where the trunk computes in half precision.

It follows Keras's floatx, which no flag changes: a run has float32. Tests set it to float64 where they claim
that two ways of computing are the same. There the claim is sharp on every processor, whereas float32 sums in
another order may part by a thousandth after a few steps of training, and by how much hangs on the processor.
"""

import keras
import tensorflow as tf


def full_precision():
    """The type's name, "float32" in every run: what a head gives its layers as dtype."""
    return keras.config.floatx()


def at_least_float32(x):
    """A tensor of a float type, half precision raised to float32; float64 stays."""
    return x if x.dtype == tf.float64 else tf.cast(x, tf.float32)
