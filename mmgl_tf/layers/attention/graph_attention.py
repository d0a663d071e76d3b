"""A graph attention head (Velickovic et al., 2018): a node is the weighted mean of its neighbours.

Legend: n nodes, C features in, D features out.
"""

import math
import zlib

import keras
import tensorflow as tf

from mmgl_tf.layers.dropout import dropout
from mmgl_tf.layers.full_precision import full_precision

# Stands for the score of a pair without an edge, as in DDAG's code; float16 could not hold it.
_NO_EDGE = -9e15
# Xavier's rule at the gain of DDAG's code, some sqrt(2).
_GAIN = 1.414


@keras.saving.register_keras_serializable(package="mmgl_tf")
class GraphAttention(keras.layers.Layer):
    """One head of attention over the edges of a graph, always float32, also under mixed precision.

        h_i  = x_i W,   e_ij = LeakyReLU(a_1 . h_i + a_2 . h_j)
        A    = softmax over the edges' j of e_ij, then dropout
        h'_i = sum_j A_ij h_j,   out = ELU(h') or h'

    a_1 . h_i and a_2 . h_j are a number for each node, so that no pair's features are ever put side by side:
    the largest tensor is [n, n].

    W and a start by Xavier's uniform rule with gain 1.414, a counted as [2D, 1]: within
    +-1.414 sqrt(6 / (C + D)) and +-1.414 sqrt(6 / (2D + 1)).

    Args:
        units: D.
        rate: dropout of the attention, in [0, 1).
        slope: of LeakyReLU below 0.
        activate: True for the ELU at the end, which inner heads have.
        place: with `seed` it fixes the initial values; None for the layer's name.
        seed: integer of the network.
        **kwargs: name, trainable.
    """

    def __init__(self, units, rate=0.2, slope=0.2, activate=True, place=None, seed=0, **kwargs):
        kwargs["dtype"] = full_precision()
        super().__init__(**kwargs)
        if not isinstance(units, int) or units < 1 or not 0.0 <= rate < 1.0:
            raise ValueError(
                f"GraphAttention {self.name!r} got units={units!r}, rate={rate}; expected an integer of at "
                "least 1 and a share in [0, 1), such as 512 and 0.2."
            )
        self.units, self.rate, self.slope, self.activate = units, rate, slope, activate
        self.place, self.seed = self.name if place is None else place, seed

    def build(self, input_shape):
        """Makes `kernel` [C, D] and `attention` [2D, 1], a_1 above a_2; only C is read."""
        for what, shape in (("kernel", (input_shape[-1], self.units)), ("attention", (2 * self.units, 1))):
            limit = _GAIN * math.sqrt(6.0 / sum(shape))
            seed = zlib.crc32(f"{self.seed}/{self.place}/{what}".encode()) & 0x7FFFFFFF
            initializer = keras.initializers.RandomUniform(-limit, limit, seed=seed)
            setattr(self, what, self.add_weight(name=what, shape=shape, initializer=initializer))
        self.built = True

    def call(self, nodes, edges, training=False, seed=None):
        """Attends.

        Args:
            nodes: [n, C].
            edges: bool [n, n]; row i says which nodes i reads. Every node should have an edge, such as to
                itself; one without any reads all alike.
            training: True for dropout.
            seed: int32 [2], needed for dropout.

        Returns:
            float32 [n, D].
        """
        hidden = tf.matmul(nodes, tf.convert_to_tensor(self.kernel))
        vectors = tf.reshape(tf.convert_to_tensor(self.attention), [2, self.units])
        reader, read = tf.split(tf.matmul(hidden, vectors, transpose_b=True), 2, axis=1)  # [n, 1] each
        scores = tf.nn.leaky_relu(reader + tf.transpose(read), alpha=self.slope)
        weights = tf.nn.softmax(tf.where(edges, scores, tf.cast(_NO_EDGE, scores.dtype)), axis=1)
        if training:
            weights = dropout(weights, self.rate, seed)
        gathered = tf.matmul(weights, hidden)
        return tf.nn.elu(gathered) if self.activate else gathered

    def compute_output_shape(self, input_shape):
        """(n, D) of (n, C)."""
        return (input_shape[0], self.units)

    def get_config(self):
        """Constructor arguments, for saving."""
        return super().get_config() | {
            "units": self.units,
            "rate": self.rate,
            "slope": self.slope,
            "activate": self.activate,
            "place": self.place,
            "seed": self.seed,
        }
