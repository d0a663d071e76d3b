"""Adam along PyTorch's trajectory: decay added to the gradient, epsilon beside the corrected root."""

import keras
import tensorflow as tf

from mmgl_tf.optimizers.torch_optimizer import TorchOptimizer


@keras.saving.register_keras_serializable(package="mmgl_tf")
class TorchAdam(TorchOptimizer):
    """Adam (Kingma and Ba, 2015), as `torch.optim.Adam` computes it.

    For gradient g, variable p, weight decay w, learning rate lr, moments m and v (0 at the start) and t, the
    number of the variable's updates, this one included:

        g' = g + w p
        m  = b1 m + (1 - b1) g'
        v  = b2 v + (1 - b2) g'^2
        p  = p - lr m / (1 - b1^t) / (sqrt(v / (1 - b2^t)) + epsilon)

    Keras' own Adam decays decoupled, and adds another epsilon (1e-7) to the square root of the v that is not
    corrected, which at the first step makes it weigh 32 times as much beside the gradient.

    Args:
        learning_rate: float or a Keras schedule.
        betas: (b1, b2), each in [0, 1).
        epsilon: positive, in the gradient's unit.
        weight_decay: w above, at least 0.
        **kwargs: of `TorchOptimizer`: groups of variables, loss scale, clipping.
    """

    def __init__(self, learning_rate=1e-3, betas=(0.9, 0.999), epsilon=1e-8, weight_decay=0.0, **kwargs):
        super().__init__(learning_rate, weight_decay, **{"name": "torch_adam", **kwargs})
        betas = tuple(float(beta) for beta in betas)
        if len(betas) != 2 or not all(0.0 <= beta < 1.0 for beta in betas):
            raise ValueError(
                f"TorchAdam got betas={betas}; expected two numbers of at least 0 and less than 1, such as "
                "(0.9, 0.999)."
            )
        if epsilon <= 0.0:
            raise ValueError(f"TorchAdam got epsilon={epsilon}; expected a positive number, such as 1e-8.")
        self.betas = betas
        self.epsilon = float(epsilon)

    def make_state(self, variables):
        """Two moments of each variable and the number of its updates, zero."""
        self.first_moments = self.add_optimizer_variables(variables, "first_moment")
        self.second_moments = self.add_optimizer_variables(variables, "second_moment")
        # Of each its own, as in PyTorch: a frozen variable or a skipped step must not be corrected for.
        self.updates = [
            self.add_variable((), dtype="float32", name=f"{variable.path.replace('/', '_')}_updates")
            for variable in variables
        ]

    def move(self, index, variable, gradient, rate, taken):
        """See the class and `TorchOptimizer.move`."""
        decay = self.decays[index]
        if decay:
            gradient = gradient + decay * variable
        first, second, updates = (
            state[index].value for state in (self.first_moments, self.second_moments, self.updates)
        )
        (b1, b2), t = self.betas, updates + 1.0
        m = b1 * first + (1.0 - b1) * gradient
        v = b2 * second + (1.0 - b2) * tf.square(gradient)
        rate, root = rate / _correction(b1, t, rate.dtype), tf.sqrt(_correction(b2, t, rate.dtype))
        p = variable - rate * m / (tf.sqrt(v) / root + self.epsilon)
        for kept, new in ((first, m), (second, v), (updates, t), (variable, p)):
            kept.assign(new if taken is None else tf.where(taken, new, kept))

    def get_config(self):
        """Constructor arguments, for saving."""
        return super().get_config() | {"betas": list(self.betas), "epsilon": self.epsilon}


def _correction(beta, updates, dtype):
    """1 - beta^t, in float64 within: 1 - 0.999 has lost five of float32's digits."""
    power = tf.pow(tf.constant(beta, tf.float64), tf.cast(updates, tf.float64))
    return tf.cast(1.0 - power, dtype)
