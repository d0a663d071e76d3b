"""SGD along PyTorch's trajectory: coupled weight decay, and a velocity without the learning rate."""

import keras
import tensorflow as tf

# Names of the variables of batch norm, and of the biases of dense layers.
NORMS_AND_BIASES = ("gamma", "beta", "bias")


@keras.saving.register_keras_serializable(package="mmgl_tf")
class TorchSGD(keras.optimizers.Optimizer):
    """Stochastic gradient descent with momentum, as `torch.optim.SGD` computes it.

    For gradient g, variable p, velocity v (0 at the start), momentum m, weight decay w and learning rate lr:

        g' = g + w p
        v  = m v + g'
        p  = p - lr v                 (Nesterov: p - lr (g' + m v))

    Keras' own SGD differs twice. Its `weight_decay` is decoupled, so the momentum does not amplify it: the
    same number decays ten times less at m = 0.9. And its velocity contains the learning rate, so the two part
    wherever the rate changes. The recipes of the paper and of its baselines are meant for this form.

    Variables without a gradient are left alone, as in PyTorch: neither decay nor momentum moves them.
    Clipping (`global_clipnorm` and the like) acts on g, before the decay is added.

    Args:
        learning_rate: float or a Keras schedule.
        momentum: in [0, 1).
        weight_decay: w above, at least 0.
        nesterov: see above; the paper's pre-training does without, its fine-tuning has it.
        decay_norms_and_biases: False leaves the variables named gamma, beta and bias undecayed; True, as
            PyTorch does by default and the recipe means, decays every variable.
        **kwargs: of `keras.optimizers.Optimizer`, such as global_clipnorm, name, loss_scale_factor.
    """

    def __init__(
        self,
        learning_rate=0.1,
        momentum=0.9,
        weight_decay=5e-4,
        nesterov=False,
        decay_norms_and_biases=True,
        **kwargs,
    ):
        # The base class would decay on its own, decoupled, were it told of the weight decay.
        super().__init__(learning_rate=learning_rate, weight_decay=None, **{"name": "torch_sgd", **kwargs})
        if not 0.0 <= momentum < 1.0:
            raise ValueError(
                f"TorchSGD got momentum={momentum}; expected at least 0 and less than 1, such as 0.9."
            )
        if weight_decay < 0.0:
            raise ValueError(f"TorchSGD got weight_decay={weight_decay}; expected at least 0, such as 5e-4.")
        self.momentum = float(momentum)
        self.coupled_weight_decay = float(weight_decay)
        self.nesterov = bool(nesterov)
        self.decay_norms_and_biases = bool(decay_norms_and_biases)

    def build(self, variables):
        """Makes one velocity per variable, zero, float32 as the variables are."""
        if self.built:
            return
        super().build(variables)
        self.velocities = self.add_optimizer_variables(variables, "velocity")
        self.decays = [self._decay_of(variable) for variable in variables]

    def _decay_of(self, variable):
        spared = not self.decay_norms_and_biases and variable.name in NORMS_AND_BIASES
        return 0.0 if spared else self.coupled_weight_decay

    def update_step(self, gradient, variable, learning_rate):
        """Moves one variable and its velocity.

        Args:
            gradient: the shape of `variable`.
            variable: tf.Variable.
            learning_rate: scalar.
        """
        index = self._get_variable_index(variable)
        velocity, decay = self.velocities[index].value, self.decays[index]
        gradient = tf.cast(gradient, variable.dtype)
        if decay:
            gradient += decay * variable
        # One fused op for both lines: the update is bound by memory traffic, and this passes over it once.
        tf.raw_ops.ResourceApplyMomentum(
            var=variable.handle,
            accum=velocity.handle,
            lr=tf.cast(learning_rate, variable.dtype),
            grad=gradient,
            momentum=tf.constant(self.momentum, variable.dtype),
            use_nesterov=self.nesterov,
        )

    def get_config(self):
        """Constructor arguments, for saving."""
        return super().get_config() | {
            "momentum": self.momentum,
            "weight_decay": self.coupled_weight_decay,
            "nesterov": self.nesterov,
            "decay_norms_and_biases": self.decay_norms_and_biases,
        }
