"""The type that losses are computed in: float32, also where the network computes in half precision."""

import tensorflow as tf


def at_least_float32(x):
    """A tensor of a float type, or what converts to one: half precision raised to float32; float64 stays."""
    x = tf.convert_to_tensor(x)
    return x if x.dtype == tf.float64 else tf.cast(x, tf.float32)
