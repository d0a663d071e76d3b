"""Batch normalisation over TF's fused op, with PyTorch's rule for the running variance.

Keras 3's own layer computes moments and the affine map as separate ops, which costs a fifth of a training
step on a CPU, and lets the moving variance follow the biased batch variance, where PyTorch takes the unbiased
one.
"""

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable(package="mmgl_tf")
class FusedBatchNorm(keras.layers.Layer):
    """Normalises each channel over all other axes (Ioffe and Szegedy, 2015).

    Training:  y = gamma (x - m) / sqrt(v + epsilon) + beta  with the mean m and the biased variance v of the
    n values of a channel, and  moving <- momentum moving + (1 - momentum) batch,  where the moving variance
    takes the unbiased v n / (n - 1).  Inference, or a layer with `trainable = False`: the moving statistics
    instead of m, v.

    A channel with a single value (n = 1) has variance 0 and comes out as beta, and its moving variance decays
    towards 0; PyTorch refuses that case. Statistics and the affine map are float32 in mixed precision too:
    only the input and the output have the compute dtype.

    Args:
        epsilon: added to the variance, the square of the input's unit. 1e-5 is PyTorch's.
        momentum: in [0, 1], the share of the old moving statistics that stays. 0.9 is PyTorch's 0.1.
        gamma_initializer: Keras initialiser of the scale.
        **kwargs: name, dtype, trainable.
    """

    def __init__(self, epsilon=1e-5, momentum=0.9, gamma_initializer="ones", **kwargs):
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

    def build(self, input_shape):
        """Makes gamma, beta, moving_mean and moving_variance [C]; only the channels are read."""
        channels = input_shape[-1]
        if len(input_shape) not in (2, 4) or channels is None:
            raise ValueError(
                f"FusedBatchNorm {self.name!r} got input shape {tuple(input_shape)}; expected [B, C] or "
                "[B, H, W, C] with a known number of channels. Reshape other ranks to [B, C] first."
            )

        def vector(name, initializer, trainable):
            return self.add_weight(
                name=name,
                shape=(channels,),
                initializer=initializer,
                trainable=trainable,
                dtype="float32",
                autocast=False,  # the op wants float32 beside a bfloat16 input, and small sums need it
            )

        self.gamma = vector("gamma", self.gamma_initializer, True)
        self.beta = vector("beta", "zeros", True)
        self.moving_mean = vector("moving_mean", "zeros", False)
        self.moving_variance = vector("moving_variance", "ones", False)
        self.built = True

    def call(self, inputs, training=None):
        """Normalises.

        Args:
            inputs: [B, C] or [B, H, W, C], compute dtype.
            training: Python bool; True uses and records batch statistics.

        Returns:
            The shape and dtype of `inputs`.
        """
        flat = len(inputs.shape) == 2
        x = tf.reshape(inputs, [-1, 1, 1, inputs.shape[-1]]) if flat else inputs
        y = self._with_batch_statistics(x) if training and self.trainable else self._with_moving_statistics(x)
        return tf.reshape(y, tf.shape(inputs)) if flat else y

    def _with_batch_statistics(self, x):
        result = tf.raw_ops.FusedBatchNormV3(
            x=x,
            scale=tf.convert_to_tensor(self.gamma),
            offset=tf.convert_to_tensor(self.beta),
            mean=tf.zeros([0]),
            variance=tf.zeros([0]),
            epsilon=self.epsilon,
            is_training=True,
        )
        # The op returns the variance that is unbiased already; it normalises with the biased one.
        keep = self.momentum
        self.moving_mean.assign(keep * self.moving_mean + (1.0 - keep) * result.batch_mean)
        self.moving_variance.assign(keep * self.moving_variance + (1.0 - keep) * result.batch_variance)
        return result.y

    def _with_moving_statistics(self, x):
        return tf.raw_ops.FusedBatchNormV3(
            x=x,
            scale=tf.convert_to_tensor(self.gamma),
            offset=tf.convert_to_tensor(self.beta),
            mean=tf.convert_to_tensor(self.moving_mean),
            variance=tf.convert_to_tensor(self.moving_variance),
            epsilon=self.epsilon,
            is_training=False,
        ).y

    def compute_output_shape(self, input_shape):
        """The input's shape."""
        return input_shape

    def get_config(self):
        """Constructor arguments, for saving."""
        return super().get_config() | {
            "epsilon": self.epsilon,
            "momentum": self.momentum,
            "gamma_initializer": keras.initializers.serialize(self.gamma_initializer),
        }
