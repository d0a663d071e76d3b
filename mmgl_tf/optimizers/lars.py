"""LARS: SGD with momentum whose step is, for each tensor, a share of that tensor's own norm."""

import keras
import tensorflow as tf

from mmgl_tf.optimizers.torch_optimizer import is_vector
from mmgl_tf.optimizers.torch_sgd import TorchSGD

FORMS = ("barlow", "larc")


@keras.saving.register_keras_serializable(package="mmgl_tf")
class Lars(TorchSGD):
    """Layer-wise adaptive rate scaling (You et al. 2017), for large batches; Keras has none.

    For gradient g, variable p with two or more axes, velocity v (0 at the start), momentum m, weight decay w,
    learning rate lr and trust eta:

        g' = g + w p,    q = eta ||p|| / ||g'||   (form "barlow")
                         q = eta ||p|| / (||g|| + w ||p|| + 1e-8)   (form "larc", SwAV's)
        v  = m v + q g'
        p  = p - lr v

    Where a norm is 0 nothing is adapted: "barlow" has q = 1, "larc" takes g in place of q g'. Vectors
    (biases, gammas, betas) are neither adapted nor decayed (q = 1, g' = g), unless `adapt_vectors`, as in
    SwAV. The rate multiplies outside the momentum; there is no Nesterov.

    Args:
        learning_rate: float or a Keras schedule.
        momentum: in [0, 1).
        weight_decay: w above, at least 0.
        trust: eta above, positive.
        form: "barlow" or "larc".
        adapt_vectors: treat variables with at most one axis as the others.
        **kwargs: of `TorchOptimizer`: groups of variables, loss scale, clipping.
    """

    def __init__(
        self,
        learning_rate=0.2,
        momentum=0.9,
        weight_decay=1e-6,
        trust=0.001,
        form="barlow",
        adapt_vectors=False,
        **kwargs,
    ):
        super().__init__(learning_rate, momentum, weight_decay, False, **{"name": "lars", **kwargs})
        if trust <= 0.0:
            raise ValueError(f"Lars got trust={trust}; expected a positive number, such as 0.001.")
        if form not in FORMS:
            raise ValueError(f"Lars got form={form!r}; expected one of {', '.join(FORMS)}.")
        self.trust = float(trust)
        self.form = form
        self.adapt_vectors = bool(adapt_vectors)

    def _adapts(self, variable):
        return self.adapt_vectors or not is_vector(variable)

    def _decay_of(self, variable):
        return super()._decay_of(variable) if self._adapts(variable) else 0.0

    def direction(self, index, variable, gradient):
        """What is added to the velocity, q g' above."""
        if not self._adapts(variable):
            return gradient
        decayed = super().direction(index, variable, gradient)
        own = tf.norm(variable)
        if self.form == "barlow":
            below = tf.norm(decayed)
            adapts = (own > 0.0) & (below > 0.0)
            return decayed * _share(self.trust * own, below, adapts)
        plain = tf.norm(gradient)
        adapts = (own > 0.0) & (plain > 0.0)
        below = plain + self.decays[index] * own + 1e-8
        return tf.where(adapts, decayed * _share(self.trust * own, below, adapts), gradient)

    def get_config(self):
        """Constructor arguments, for saving."""
        config = super().get_config() | {
            "trust": self.trust,
            "form": self.form,
            "adapt_vectors": self.adapt_vectors,
        }
        del config["nesterov"]
        return config


def _share(above, below, where):
    """above / below, and 1 elsewhere."""
    return tf.where(where, above / tf.where(where, below, 1.0), 1.0)
