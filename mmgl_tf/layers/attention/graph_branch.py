"""DDAG's graph of a batch (Ye et al., 2020): images of an identity tell each other who they are.

Legend: n images of both modalities, C features, K identities, D features of a head.
"""

import keras
import tensorflow as tf

from mmgl_tf.layers.attention.graph_attention import GraphAttention
from mmgl_tf.layers.dropout import dropout
from mmgl_tf.layers.full_precision import full_precision
from mmgl_tf.layers.seeded_uniform import seed_of


@keras.saving.register_keras_serializable(package="mmgl_tf")
class GraphBranch(keras.layers.Layer):
    """Identities by graph attention among the images of a batch, for training alone; always float32.

        nodes  = dropout(x), one mask for all heads
        hidden = dropout(concatenation of the heads' ELU(h'))
        out    = log softmax(ELU(output head(hidden)))

    An edge joins two images of one identity, of whatever modality, and an image with itself. The normalised
    adjacency matrix of the paper says no more than that to the released code.

    It acts on the whole batch with weights of its own, so it belongs into `StepContract.joint`. Its gradient
    reaches the trunk.

    Args:
        classes: K.
        heads: how many.
        units: D; the concatenation has heads D features.
        rate: all dropouts, in [0, 1).
        slope: of the heads' LeakyReLU.
        place: with `seed` it fixes the initial values; None for the layer's name.
        seed: integer of the network.
        **kwargs: name, trainable.
    """

    def __init__(self, classes, heads=4, units=512, rate=0.2, slope=0.2, place=None, seed=0, **kwargs):
        kwargs["dtype"] = full_precision()
        super().__init__(**{"name": "graph", **kwargs})
        if not isinstance(heads, int) or heads < 1:
            raise ValueError(
                f"GraphBranch got heads={heads!r}; expected an integer of at least 1, such as 4."
            )
        self.classes, self.heads, self.units, self.rate, self.slope = classes, heads, units, rate, slope
        self.place, self.seed = self.name if place is None else place, seed
        # Attributes rather than a list, so that weights files say "graph/head0".
        for i in range(heads):
            setattr(self, f"head{i}", self._head(f"head{i}", units, True))
        self.output_head = self._head("output", classes, False)

    def _head(self, name, units, activate):
        place = f"{self.place}/{name}"
        return GraphAttention(units, self.rate, self.slope, activate, place, self.seed, name=name)

    def build(self, input_shape):
        """Makes every weight; only C is read."""
        for i in range(self.heads):
            getattr(self, f"head{i}").build(input_shape)
        self.output_head.build((None, self.heads * self.units))
        self.built = True

    def call(self, features, identities, training=False, seed=None):
        """Log-probabilities of identities.

        Args:
            features: [n, C], pooled, before the neck.
            identities: int [n].
            training: True for dropout.
            seed: int32 [2], needed for dropout: noise is a function of it alone.

        Returns:
            float32 [n, K], whose exponentials sum to 1.

        Raises:
            ValueError: dropout without a seed.
        """
        drops = training and self.rate > 0.0
        if drops and seed is None:
            raise ValueError(
                "GraphBranch got seed=None in training; expected int32 [2]. Pass a seed made from the run's "
                "seed and the step, so that a resumed run drops the same."
            )
        seeds = [seed_of(seed, place) if drops else None for place in range(self.heads + 3)]
        edges = tf.equal(identities[:, tf.newaxis], identities)
        nodes = dropout(features, self.rate, seeds[-1]) if drops else features
        heads = [getattr(self, f"head{i}") for i in range(self.heads)]
        found = [h(nodes, edges, training=drops, seed=s) for h, s in zip(heads, seeds, strict=False)]
        hidden = tf.concat(found, axis=1)
        if drops:
            hidden = dropout(hidden, self.rate, seeds[-2])
        logits = self.output_head(hidden, edges, training=drops, seed=seeds[-3])
        return tf.nn.log_softmax(tf.nn.elu(logits), axis=1)

    def compute_output_shape(self, input_shape):
        """(n, K) of (n, C)."""
        return (input_shape[0], self.classes)

    def get_config(self):
        """Constructor arguments, for saving."""
        return super().get_config() | {
            "classes": self.classes,
            "heads": self.heads,
            "units": self.units,
            "rate": self.rate,
            "slope": self.slope,
            "place": self.place,
            "seed": self.seed,
        }
