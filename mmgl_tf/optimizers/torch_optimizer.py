"""What the optimisers along PyTorch's trajectories share: groups of variables, loss scale, skipped steps."""

import keras
import tensorflow as tf

from mmgl_tf.optimizers.loss_scale import LossScale
from mmgl_tf.optimizers.variable_groups import by_prefix

# Names of the variables of batch norm, and of the biases of dense layers and convolutions.
NORMS, BIASES = ("gamma", "beta"), ("bias",)


class TorchOptimizer(keras.optimizers.Optimizer):
    """An optimiser whose variables are in groups, as PyTorch's parameter groups, but by name.

    A subclass makes its state (`make_state`) and moves one variable (`move`). Weight decay w is coupled, as
    in PyTorch: w p is added to the gradient. Variables without a gradient are left alone: neither decay nor
    momentum moves them. Clipping (`global_clipnorm` and the like) acts on the gradient before the decay.

    The learning rate of a variable is the product of the schedule's (or its constant peak, `fixed_rates`), of
    its multiplier and, at a step, of its `rate_factors` (see `apply`). None of them acts on gradient, decay
    or momentum.

    Args:
        learning_rate: float or a Keras schedule.
        weight_decay: w above, at least 0.
        decay_norms: False leaves the variables named gamma and beta undecayed; True, as PyTorch does by
            default and the recipe means, decays them as all others.
        decay_biases: the same for those named bias.
        undecayed: how the paths of further variables begin that are not decayed.
        learning_rate_multipliers: {how a variable's path begins: factor, at least 0}, such as
            {"encoder/": 0.1}. The longest beginning that fits a variable wins; one that none fits has factor
            1, unless "" is given, which fits all.
        vector_multiplier: further factor, at least 0, for variables with at most one axis (biases, gammas,
            betas): Barlow Twins' rate for these is 0.024 times that of the others.
        fixed_rates: how the paths of variables begin whose rate does not follow the schedule: it is the
            schedule's `peak` from the first step to the last (SimSiam's predictor). A float is its own peak.
        dynamic_loss_scale: for float16, see `mmgl_tf.optimizers.loss_scale`; a step whose gradients overflow
            changes neither variables nor the optimiser's state of them, but counts.
        **kwargs: of `keras.optimizers.Optimizer`, such as global_clipnorm, name, loss_scale_factor.

    Under a `tf.distribute` strategy it expects gradients that are summed over replicas already: a global norm
    can only be clipped, and an overflow only be seen, in the sum.

    Raises:
        ValueError: a number out of its range, or `fixed_rates` with a schedule that has no `peak`.
    """

    def __init__(
        self,
        learning_rate,
        weight_decay,
        decay_norms=True,
        decay_biases=True,
        undecayed=(),
        learning_rate_multipliers=None,
        vector_multiplier=1.0,
        fixed_rates=(),
        dynamic_loss_scale=False,
        **kwargs,
    ):
        # The base class would decay on its own, decoupled, were it told of the weight decay.
        super().__init__(learning_rate=learning_rate, weight_decay=None, **kwargs)
        own = type(self).__name__
        if weight_decay < 0.0:
            raise ValueError(f"{own} got weight_decay={weight_decay}; expected at least 0, such as 5e-4.")
        multipliers = {prefix: float(m) for prefix, m in (learning_rate_multipliers or {}).items()}
        for prefix, factor in {**multipliers, "vectors": vector_multiplier}.items():
            if not 0.0 <= factor < float("inf"):
                raise ValueError(
                    f"{own} got the learning-rate multiplier {factor} for {prefix!r}; expected a finite "
                    "number of at least 0, such as 0.1."
                )
        for name, prefixes in (("undecayed", undecayed), ("fixed_rates", fixed_rates)):
            if isinstance(prefixes, str):
                raise ValueError(
                    f"{own} got {name}={prefixes!r}; expected beginnings of paths, such as ('predictor/',)."
                )
        peak = learning_rate if isinstance(learning_rate, float) else getattr(learning_rate, "peak", None)
        if fixed_rates and peak is None:
            raise ValueError(
                f"{own} got fixed_rates={tuple(fixed_rates)} and a {type(learning_rate).__name__} without a "
                "`peak`; expected a schedule of mmgl_tf.optimizers.schedules or a number."
            )
        self.coupled_weight_decay = float(weight_decay)
        self.decay_norms, self.decay_biases = bool(decay_norms), bool(decay_biases)
        self.undecayed = tuple(undecayed)
        self.learning_rate_multipliers = multipliers
        self.vector_multiplier = float(vector_multiplier)
        self.fixed_rates = tuple(fixed_rates)
        self.fixed_rate = peak
        self.dynamic_loss_scale = bool(dynamic_loss_scale)
        self.loss_scale = None
        # Within a step: whether it is taken, a boolean tensor or None; function index -> factor or None, as
        # Keras would keep a list.
        self._taken, self._rate_factor_of = None, None

    def make_state(self, variables):
        """Makes the state of the variables, by `add_optimizer_variables`."""
        raise NotImplementedError

    def move(self, index, variable, gradient, rate, taken):
        """Moves one variable and its state.

        Args:
            index: of the variable, in `decays` and the state.
            variable: tf.Variable.
            gradient: without decay; the shape and dtype of `variable`.
            rate: scalar of that dtype, the variable's own.
            taken: None, or a boolean scalar: False leaves variable and state as they are.
        """
        raise NotImplementedError

    def build(self, variables):
        """Makes the state of every variable, float32 as the variables are.

        Args:
            variables: the trained variables.

        Raises:
            ValueError: a prefix fits no variable; a misspelt one would silently train the trunk at the full
                rate.
        """
        if self.built:
            return
        super().build(variables)
        own, paths = type(self).__name__, [variable.path for variable in variables]
        factors = by_prefix(
            dict(self.learning_rate_multipliers), paths, 1.0, f"{own} got learning-rate multipliers"
        )
        self.factors = [
            factor * self.vector_multiplier if is_vector(variable) else factor
            for factor, variable in zip(factors, variables, strict=True)
        ]
        self.fixed = by_prefix(dict.fromkeys(self.fixed_rates, True), paths, False, f"{own} got fixed_rates")
        spared = by_prefix(dict.fromkeys(self.undecayed, True), paths, False, f"{own} got undecayed")
        self.decays = [
            0.0 if exempt else self._decay_of(variable)
            for exempt, variable in zip(spared, variables, strict=True)
        ]
        self.make_state(variables)
        if self.dynamic_loss_scale:
            self.loss_scale = LossScale(self)

    def _decay_of(self, variable):
        spared = (not self.decay_norms and variable.name in NORMS) or (
            not self.decay_biases and variable.name in BIASES
        )
        return 0.0 if spared else self.coupled_weight_decay

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

    def apply(self, grads, trainable_variables=None, rate_factors=None):
        """One step; see `keras.optimizers.Optimizer.apply`.

        Args:
            grads: of the scaled loss, summed over replicas.
            trainable_variables: what they are of; None = all.
            rate_factors: {how a variable's path begins: scalar}, factors on the learning rate of this step
                alone; the longest beginning wins. Where one is 0 the variable is frozen: its state stands
                still too, as where PyTorch has no gradient.

        Returns:
            Boolean scalar, whether the step was taken, or None where every one is.
        """
        if rate_factors:
            paths = [variable.path for variable in self._trainable_variables]
            what = f"{type(self).__name__} got rate_factors"
            self._rate_factor_of = by_prefix(rate_factors, paths, None, what).__getitem__
        taken = None
        if self.loss_scale:
            grads, taken = self.loss_scale.unscale(grads)
            self._taken = taken
        super().apply(grads, trainable_variables)
        if self.loss_scale:
            self.loss_scale.update(taken)
        self._taken, self._rate_factor_of = None, None
        return taken

    def _all_reduce_sum_gradients(self, grads_and_vars):
        """As they are: see the class."""
        return grads_and_vars

    def update_step(self, gradient, variable, learning_rate):
        """Moves one variable and its state.

        Args:
            gradient: the shape of `variable`.
            variable: tf.Variable.
            learning_rate: scalar, the schedule's.
        """
        index, taken = self._get_variable_index(variable), self._taken
        if self.fixed[index]:
            learning_rate = self.fixed_rate
        rate = tf.cast(learning_rate, variable.dtype) * self.factors[index]
        factor = self._rate_factor_of(index) if self._rate_factor_of else None
        if factor is not None:
            factor = tf.cast(factor, variable.dtype)
            rate, moves = rate * factor, tf.not_equal(factor, 0.0)
            taken = moves if taken is None else taken & moves
        self.move(index, variable, tf.cast(gradient, variable.dtype), rate, taken)

    def get_config(self):
        """Constructor arguments, for saving."""
        return super().get_config() | {
            "weight_decay": self.coupled_weight_decay,
            "decay_norms": self.decay_norms,
            "decay_biases": self.decay_biases,
            "undecayed": list(self.undecayed),
            "learning_rate_multipliers": dict(self.learning_rate_multipliers),
            "vector_multiplier": self.vector_multiplier,
            "fixed_rates": list(self.fixed_rates),
            "dynamic_loss_scale": self.dynamic_loss_scale,
        }


def is_vector(variable):
    """Whether a variable has at most one axis, as biases, gammas and betas have."""
    return len(variable.shape) <= 1
