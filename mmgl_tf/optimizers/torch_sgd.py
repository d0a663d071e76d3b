"""SGD along PyTorch's trajectory: coupled weight decay, and a velocity without the learning rate."""

import keras
import tensorflow as tf

from mmgl_tf.optimizers.torch_optimizer import TorchOptimizer


@keras.saving.register_keras_serializable(package="mmgl_tf")
class TorchSGD(TorchOptimizer):
    """Stochastic gradient descent with momentum, as `torch.optim.SGD` computes it.

    For gradient g, variable p, velocity v (0 at the start), momentum m, weight decay w and learning rate lr:

        g' = g + w p
        v  = m v + g'
        p  = p - lr v                 (Nesterov: p - lr (g' + m v))

    Keras' own SGD differs twice. Its `weight_decay` is decoupled, so the momentum does not amplify it: the
    same number decays ten times less at m = 0.9. And its velocity contains the learning rate, so the two part
    wherever the rate changes. The recipes of the paper and of its baselines are meant for this form.

    Args:
        learning_rate: float or a Keras schedule.
        momentum: in [0, 1).
        weight_decay: w above, at least 0.
        nesterov: see above; the paper's pre-training does without, its fine-tuning has it.
        **kwargs: of `TorchOptimizer`: groups of variables, loss scale, clipping.
    """

    def __init__(self, learning_rate=0.1, momentum=0.9, weight_decay=5e-4, nesterov=False, **kwargs):
        super().__init__(learning_rate, weight_decay, **{"name": "torch_sgd", **kwargs})
        if not 0.0 <= momentum < 1.0:
            raise ValueError(
                f"{type(self).__name__} got momentum={momentum}; expected at least 0 and less than 1, such "
                "as 0.9."
            )
        self.momentum = float(momentum)
        self.nesterov = bool(nesterov)

    def make_state(self, variables):
        """One velocity for each variable, zero."""
        self.velocities = self.add_optimizer_variables(variables, "velocity")

    def direction(self, index, variable, gradient):
        """What is added to the velocity, g' above; the arguments are those of `move`."""
        decay = self.decays[index]
        return gradient + decay * variable if decay else gradient

    def move(self, index, variable, gradient, rate, taken):
        """See the class and `TorchOptimizer.move`."""
        momentum = tf.constant(self.momentum, variable.dtype)
        gradient = self.direction(index, variable, gradient)
        if taken is not None:
            gradient = tf.where(taken, gradient, tf.zeros_like(gradient))
            momentum, rate = tf.where(taken, momentum, 1.0), tf.where(taken, rate, 0.0)
        # One fused op for both lines: the update is bound by memory traffic, and this passes over it once.
        tf.raw_ops.ResourceApplyMomentum(
            var=variable.handle,
            accum=self.velocities[index].value.handle,
            lr=rate,
            grad=gradient,
            momentum=momentum,
            use_nesterov=self.nesterov,
        )

    def get_config(self):
        """Constructor arguments, for saving."""
        return super().get_config() | {"momentum": self.momentum, "nesterov": self.nesterov}
