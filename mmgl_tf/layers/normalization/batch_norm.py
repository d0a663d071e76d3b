"""Batch normalisation over TF's fused op, with PyTorch's rule for the running variance.

Keras 3's own layer computes moments and the affine map as separate ops, which costs a fifth of a training
step on a CPU, and lets the moving variance follow the biased batch variance, where PyTorch takes the unbiased
one.
"""

import keras
import numpy as np
import tensorflow as tf

from mmgl_tf.layers.gathered_batch import batch_is_gathered
from mmgl_tf.layers.normalization.batch_norm_kernels import normalise_by_batch, normalise_by_moving
from mmgl_tf.layers.normalization.frozen_statistics import statistics_are_frozen
from mmgl_tf.layers.normalization.global_batch_norm import global_batch_norm


def synchronise(model):
    """Lets every `FusedBatchNorm` within take its statistics from the batches of all replicas.

    Call it before the first training step: a step that is traced already stays as it is.

    Args:
        model: Keras model or layer, built; itself may be a `FusedBatchNorm`.

    Returns:
        int, how many layers it found.
    """
    found = [layer for layer in model._flatten_layers() if isinstance(layer, FusedBatchNorm)]
    for layer in found:
        layer.synchronised = True
    return len(found)


@keras.saving.register_keras_serializable(package="mmgl_tf")
class FusedBatchNorm(keras.layers.Layer):
    """Normalises each channel over all other axes (Ioffe and Szegedy, 2015).

    Training:  y = gamma (x - m) / sqrt(v + epsilon) + beta  with the mean m and the biased variance v of the
    n values of a channel, and  moving <- momentum moving + (1 - momentum) batch,  where the moving variance
    takes the unbiased v n / (n - 1).  Inference, or a layer with `trainable = False`: the moving statistics
    instead of m, v.

    A channel with a single value (n = 1) has variance 0 and comes out as beta, and its moving variance decays
    towards 0; PyTorch refuses that case. Statistics and the affine map are float32 in mixed precision too:
    only the input and the output have the compute dtype. (All is float64 where that is, see
    `full_precision`.)

    On replicas of a `tf.distribute` strategy the batch is a replica's own, unless `synchronised`. Each
    replica moves its own moving statistics, without a message; whoever reads them outside, such as a
    checkpoint, gets the first replica's, and assigning outside sets them on all. Synchronised ones are equal.

    Args:
        epsilon: added to the variance, the square of the input's unit. 1e-5 is PyTorch's.
        momentum: in [0, 1], the share of the old moving statistics that stays. 0.9 is PyTorch's 0.1.
        gamma_initializer: Keras initialiser of the scale.
        affine: False leaves gamma at 1 and beta at 0, without variables for them.
        **kwargs: name, dtype, trainable.

    Attributes:
        synchronised: True = the batch statistics are those of all replicas, see `global_batch_norm`; within
            `gathered_batch` the own batch is theirs already. Of the run, not of the model: it is not saved.
            See `synchronise`.
    """

    synchronised = False

    def __init__(self, epsilon=1e-5, momentum=0.9, gamma_initializer="ones", affine=True, **kwargs):
        super().__init__(**kwargs)
        if not 0.0 <= momentum <= 1.0:
            raise ValueError(
                f"FusedBatchNorm got momentum={momentum}; expected the share of the old statistics that "
                "stays, in [0, 1]. PyTorch's momentum m is 1 - m here."
            )
        if epsilon <= 0.0:
            raise ValueError(
                f"FusedBatchNorm got epsilon={epsilon}; expected a positive number such as 1e-5."
            )
        self.epsilon = epsilon
        self.momentum = momentum
        self.gamma_initializer = keras.initializers.get(gamma_initializer)
        self.affine = affine

    def build(self, input_shape):
        """Makes gamma, beta, moving_mean and moving_variance [C]; only the channels are read."""
        channels = input_shape[-1]
        if len(input_shape) not in (2, 4) or channels is None:
            raise ValueError(
                f"FusedBatchNorm {self.name!r} got input shape {tuple(input_shape)}; expected [B, C] or "
                "[B, H, W, C] with a known number of channels. Reshape other ranks to [B, C] first."
            )

        def vector(name, initializer):
            return self.add_weight(
                name=name,
                shape=(channels,),
                initializer=initializer,
                dtype=self._vectors_dtype,
                autocast=False,  # the op wants float32 beside a bfloat16 input, and small sums need it
            )

        if self.affine:
            self.gamma = vector("gamma", self.gamma_initializer)
            self.beta = vector("beta", "zeros")
        else:
            self.gamma = np.ones(channels, self._vectors_dtype)
            self.beta = np.zeros(channels, self._vectors_dtype)
        self._build_moving_statistics(channels)
        self.built = True

    @property
    def _vectors_dtype(self):
        return "float64" if self.compute_dtype == "float64" else "float32"

    def _build_moving_statistics(self, channels):
        def vector(name, initializer):
            # Not `add_weight`, which takes no `synchronization`. "on_read": a replica's assignment stays its
            # own, where others would make it a message for every layer in every step.
            return keras.Variable(
                initializer,
                shape=(channels,),
                dtype=self._vectors_dtype,
                trainable=False,
                autocast=False,
                synchronization="on_read",
                aggregation="only_first_replica",
                name=name,
            )

        self.moving_mean = vector("moving_mean", "zeros")
        self.moving_variance = vector("moving_variance", "ones")

    def call(self, inputs, training=None):
        """Normalises.

        Args:
            inputs: [B, C] or [B, H, W, C], compute dtype.
            training: Python bool; True uses batch statistics, and records them unless within
                `frozen_statistics`.

        Returns:
            The shape and dtype of `inputs`.
        """
        flat = len(inputs.shape) == 2
        x = tf.reshape(inputs, [-1, 1, 1, inputs.shape[-1]]) if flat else inputs
        y = self._with_batch_statistics(x) if training and self.trainable else self._with_moving_statistics(x)
        return tf.reshape(y, tf.shape(inputs)) if flat else y

    def _with_batch_statistics(self, x):
        gamma, beta = tf.convert_to_tensor(self.gamma), tf.convert_to_tensor(self.beta)
        if self.synchronised and not batch_is_gathered():
            y, mean, variance = global_batch_norm(x, gamma, beta, self.epsilon)
        else:
            y, mean, variance, _ = normalise_by_batch(x, gamma, beta, self.epsilon)
        if not statistics_are_frozen():
            keep = self.momentum
            self.moving_mean.assign(keep * self.moving_mean + (1.0 - keep) * mean)
            self.moving_variance.assign(keep * self.moving_variance + (1.0 - keep) * variance)
        return y

    def _with_moving_statistics(self, x):
        vectors = (self.gamma, self.beta, self.moving_mean, self.moving_variance)
        return normalise_by_moving(x, *map(tf.convert_to_tensor, vectors), self.epsilon)

    def compute_output_shape(self, input_shape):
        """The input's shape."""
        return input_shape

    def get_config(self):
        """Constructor arguments, for saving."""
        config = super().get_config() | {
            "epsilon": self.epsilon,
            "momentum": self.momentum,
            "gamma_initializer": keras.initializers.serialize(self.gamma_initializer),
        }
        # Named only where it says something: the configs of layers that were saved before stay as they are.
        return config if self.affine else config | {"affine": False}
