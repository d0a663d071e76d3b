"""SGD along PyTorch's trajectory: coupled weight decay, and a velocity without the learning rate."""

import keras
import tensorflow as tf

from mmgl_tf.optimizers.loss_scale import LossScale

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

    `learning_rate_multipliers` are PyTorch's parameter groups, by name: fine-tuning moves the trunk at a
    tenth of the rate of neck and classifier. A factor multiplies lr alone, not g, v or w.

    Args:
        learning_rate: float or a Keras schedule.
        momentum: in [0, 1).
        weight_decay: w above, at least 0.
        nesterov: see above; the paper's pre-training does without, its fine-tuning has it.
        decay_norms_and_biases: False leaves the variables named gamma, beta and bias undecayed; True, as
            PyTorch does by default and the recipe means, decays every variable.
        learning_rate_multipliers: {how a variable's path begins: factor, at least 0}, such as
            {"encoder/": 0.1}. The longest beginning that fits a variable wins; one that none fits has factor
            1, unless "" is given, which fits all.
        dynamic_loss_scale: for float16, see `mmgl_tf.optimizers.loss_scale`; a step whose gradients overflow
            changes neither variables nor velocities, but counts.
        **kwargs: of `keras.optimizers.Optimizer`, such as global_clipnorm, name, loss_scale_factor.

    Under a `tf.distribute` strategy it expects gradients that are summed over replicas already: a global norm
    can only be clipped, and an overflow only be seen, in the sum.
    """

    def __init__(
        self,
        learning_rate=0.1,
        momentum=0.9,
        weight_decay=5e-4,
        nesterov=False,
        decay_norms_and_biases=True,
        learning_rate_multipliers=None,
        dynamic_loss_scale=False,
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
        multipliers = {prefix: float(m) for prefix, m in (learning_rate_multipliers or {}).items()}
        for prefix, factor in multipliers.items():
            if not 0.0 <= factor < float("inf"):
                raise ValueError(
                    f"TorchSGD got the learning-rate multiplier {factor} for {prefix!r}; expected a finite "
                    "number of at least 0, such as 0.1."
                )
        self.momentum = float(momentum)
        self.coupled_weight_decay = float(weight_decay)
        self.nesterov = bool(nesterov)
        self.decay_norms_and_biases = bool(decay_norms_and_biases)
        self.learning_rate_multipliers = multipliers
        self.dynamic_loss_scale = bool(dynamic_loss_scale)
        self.loss_scale = None
        self._taken = None  # within a scaled step: whether it is taken, a boolean tensor

    def build(self, variables):
        """Makes one velocity per variable, zero, float32 as the variables are.

        Args:
            variables: the trainable variables.

        Raises:
            ValueError: a key of `learning_rate_multipliers` fits no variable; a misspelt one would silently
                train the trunk at the full rate.
        """
        if self.built:
            return
        super().build(variables)
        self.velocities = self.add_optimizer_variables(variables, "velocity")
        self.decays = [self._decay_of(variable) for variable in variables]
        self.factors = _factors(dict(self.learning_rate_multipliers), [v.path for v in variables])
        if self.dynamic_loss_scale:
            self.loss_scale = LossScale(self)

    def scale_loss(self, loss):
        """The loss to differentiate."""
        return loss * self.loss_scale.scale if self.loss_scale else super().scale_loss(loss)

    def unscaled_norm(self, gradients):
        """Global norm of gradients of the loss, and whether it counts: not where loss scaling skips the step.

        Args:
            gradients: of the scaled loss, summed over replicas.

        Returns:
            (scalar, 1 or 0), float32 where the gradients are.
        """
        if self.loss_scale:
            return self.loss_scale.norm(gradients)
        norm = tf.linalg.global_norm(gradients)
        return norm, tf.ones_like(norm)

    def apply(self, grads, trainable_variables=None):
        """One step; see `keras.optimizers.Optimizer.apply`."""
        if not self.loss_scale:
            return super().apply(grads, trainable_variables)
        grads, self._taken = self.loss_scale.unscale(grads)
        super().apply(grads, trainable_variables)
        self.loss_scale.update(self._taken)
        self._taken = None

    def _all_reduce_sum_gradients(self, grads_and_vars):
        """As they are: see the class."""
        return grads_and_vars

    def _decay_of(self, variable):
        spared = not self.decay_norms_and_biases and variable.name in NORMS_AND_BIASES
        return 0.0 if spared else self.coupled_weight_decay

    def update_step(self, gradient, variable, learning_rate):
        """Moves one variable and its velocity.

        Args:
            gradient: the shape of `variable`.
            variable: tf.Variable.
            learning_rate: scalar, before the variable's multiplier.
        """
        index = self._get_variable_index(variable)
        velocity, decay = self.velocities[index].value, self.decays[index]
        gradient = tf.cast(gradient, variable.dtype)
        momentum = tf.constant(self.momentum, variable.dtype)
        rate = tf.cast(learning_rate, variable.dtype) * self.factors[index]
        if decay:
            gradient += decay * variable
        if self._taken is not None:
            gradient = tf.where(self._taken, gradient, tf.zeros_like(gradient))
            momentum, rate = tf.where(self._taken, momentum, 1.0), tf.where(self._taken, rate, 0.0)
        # One fused op for both lines: the update is bound by memory traffic, and this passes over it once.
        tf.raw_ops.ResourceApplyMomentum(
            var=variable.handle,
            accum=velocity.handle,
            lr=rate,
            grad=gradient,
            momentum=momentum,
            use_nesterov=self.nesterov,
        )

    def get_config(self):
        """Constructor arguments, for saving."""
        return super().get_config() | {
            "momentum": self.momentum,
            "weight_decay": self.coupled_weight_decay,
            "nesterov": self.nesterov,
            "decay_norms_and_biases": self.decay_norms_and_biases,
            "learning_rate_multipliers": dict(self.learning_rate_multipliers),
            "dynamic_loss_scale": self.dynamic_loss_scale,
        }


def _factors(multipliers, paths):
    """The factor of every path: that of the longest key that it begins with, else 1."""
    idle = [prefix for prefix in multipliers if not any(path.startswith(prefix) for path in paths)]
    if idle:
        layers = sorted({path.rpartition("/")[0] or path for path in paths})
        shown = ", ".join(layers[:12]) + (f" and {len(layers) - 12} more" if len(layers) > 12 else "")
        raise ValueError(
            f"TorchSGD got learning-rate multipliers for {', '.join(map(repr, idle))}, which no variable's "
            f"path begins with; expected beginnings of {shown}. Print variable.path to see the names."
        )
    longest_first = sorted(multipliers, key=len, reverse=True)
    return [
        next((multipliers[prefix] for prefix in longest_first if path.startswith(prefix)), 1.0)
        for path in paths
    ]
