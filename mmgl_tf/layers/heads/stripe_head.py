"""The projection of pooled stripes to part embeddings (PCB-style head, MMGL section on Eq. 5).

Legend: B images, N stripes, C channels, D embedding size.
"""

import math

import keras
import tensorflow as tf

from mmgl_tf.layers.full_precision import full_precision
from mmgl_tf.layers.normalization.batch_norm import FusedBatchNorm


@keras.saving.register_keras_serializable("mmgl")
class StripeHead(keras.layers.Layer):
    """A 1x1 convolution, i.e. a dense layer, on every stripe vector.

    The output is the part embedding *before* it is normalised to unit length: the part classifier
    reads it as it is, the contrast normalises it. Always float32, also under mixed precision.

    Choice: the model takes one projection for all slots, with batch norm and without ReLU (flags
    `pcb_shared`, `pcb_bn`, `pcb_relu`). The authors' variable names suggest one per slot, as in PCB; but
    slots are shuffled, and a projection per slot hands the contrast the slot index, which nearly solves it
    at the first step (see docs/choices.md).

    Args:
        num_stripes: N.
        embedding_size: D (paper: 256).
        shared: True for one projection, False for one per slot.
        batch_norm: True for batch norm after the projection; per slot where the projection is.
        relu: True for a ReLU at the end.
        seed: of the initial weights; None draws from the global generator.
    """

    def __init__(
        self, num_stripes, embedding_size, shared=True, batch_norm=False, relu=False, seed=None, **kwargs
    ):
        kwargs["dtype"] = full_precision()
        super().__init__(**kwargs)
        self.num_stripes = num_stripes
        self.embedding_size = embedding_size
        self.shared = shared
        self.batch_norm = batch_norm
        self.relu = relu
        self.seed = seed
        self.normalise = None
        if batch_norm:
            self.normalise = FusedBatchNorm(
                epsilon=1e-5, momentum=0.9, name="batch_norm", dtype=full_precision()
            )

    def build(self, input_shape):
        """Makes the weights for [B, N, C]."""
        if input_shape[1] != self.num_stripes:
            raise ValueError(
                f"StripeHead for {self.num_stripes} stripes got stripes of shape {tuple(input_shape)}; "
                "expected [B, num_stripes, C]. Use the same num_stripes as in StripePooling."
            )
        channels = input_shape[-1]
        copies = () if self.shared else (self.num_stripes,)
        # Glorot's limit written out: Keras would count the slot axis of a [N, C, D] kernel as a
        # receptive field and start unshared projections sqrt(N) times smaller.
        limit = math.sqrt(6.0 / (channels + self.embedding_size))
        self.kernel = self.add_weight(
            name="kernel",
            shape=(*copies, channels, self.embedding_size),
            initializer=keras.initializers.RandomUniform(-limit, limit, seed=self.seed),
        )
        self.bias = None
        if self.normalise is None:  # batch norm subtracts the mean and brings its own offset
            self.bias = self.add_weight(
                name="bias", shape=(*copies, self.embedding_size), initializer="zeros"
            )
        else:
            features = self.embedding_size if self.shared else self.num_stripes * self.embedding_size
            self.normalise.build((None, features))
        super().build(input_shape)

    def call(self, stripes, training=False):
        """Projects.

        Args:
            stripes: [B, N, C] from `StripePooling`.
            training: True to use and update batch statistics, where there is batch norm.

        Returns:
            float32 [B, N, D], not normalised.
        """
        equation = "bnc,cd->bnd" if self.shared else "bnc,ncd->bnd"
        embedding = tf.einsum(equation, stripes, self.kernel)
        if self.bias is not None:
            embedding += self.bias
        if self.normalise is not None:
            features = self.embedding_size if self.shared else self.num_stripes * self.embedding_size
            flat = self.normalise(tf.reshape(embedding, [-1, features]), training=training)
            embedding = tf.reshape(flat, [-1, self.num_stripes, self.embedding_size])
        return tf.nn.relu(embedding) if self.relu else embedding

    def get_config(self):
        """The constructor's arguments."""
        return {
            **super().get_config(),
            "num_stripes": self.num_stripes,
            "embedding_size": self.embedding_size,
            "shared": self.shared,
            "batch_norm": self.batch_norm,
            "relu": self.relu,
            "seed": self.seed,
        }
