"""Dynamic loss scaling for float16, without a branch (Micikevicius et al. 2018, "Mixed precision training").

Gradients below 6e-8 vanish in float16, so the loss is multiplied by a large power of two, and the gradients
are divided by it before they are used. A step whose gradients overflow is skipped and halves the scale; 2,000
good steps in sequence double it.

Keras' `LossScaleOptimizer` skips by a branch around the whole update, which a replica cannot take where the
update merges replicas, and does not count a skipped step, so that schedule and noise would fall behind the
data. Here a skipped step counts, and the optimiser takes it with a rate of 0.
"""

import keras
import tensorflow as tf

INITIAL, GROWTH_STEPS = 2.0**15, 2000
# Apex's. Without one, gradients that stay 0 would let the scale grow until it is infinite for ever.
LARGEST = 2.0**24


class LossScale:
    """The scale and its state.

    Args:
        optimizer: whose variables they become, so that a checkpoint has them.
    """

    def __init__(self, optimizer):
        # float32 in every run; float64 in tests that compare two ways of computing.
        settings = {"shape": (), "dtype": keras.config.floatx(), "aggregation": "only_first_replica"}
        self.scale = optimizer.add_variable(initializer=_constant(INITIAL), name="loss_scale", **settings)
        self.good_steps = optimizer.add_variable(initializer="zeros", name="good_steps", **settings)

    def norm(self, gradients):
        """The norm of the unscaled gradients, and whether it counts.

        That of a step which is skipped does not, as the step is none; unless a scale below 1 could not help
        it, so that the run has diverged.

        Args:
            gradients: of the scaled loss, summed over replicas.

        Returns:
            (float32 scalar, 0 where it does not count; 1.0 or 0.0).
        """
        norm = tf.linalg.global_norm(gradients) / self.scale
        counts = tf.math.is_finite(norm) | (self.scale < 1.0)
        return tf.where(counts, norm, 0.0), tf.cast(counts, tf.float32)

    def unscale(self, gradients):
        """(gradients, 0 where one was not finite; whether all were finite)."""
        finite = tf.reduce_all(tf.stack([tf.reduce_all(tf.math.is_finite(g)) for g in gradients]))
        factor = 1.0 / self.scale
        return [tf.where(finite, g * factor, tf.zeros_like(g)) for g in gradients], finite

    def update(self, finite):
        """After a step."""
        good = tf.where(finite, self.good_steps + 1.0, 0.0)
        grows = good >= GROWTH_STEPS
        factor = tf.where(finite, tf.where(grows, 2.0, 1.0), 0.5)
        self.scale.assign(tf.minimum(self.scale * tf.cast(factor, self.scale.dtype), LARGEST))
        self.good_steps.assign(tf.where(grows, tf.zeros_like(good), good))


def _constant(value):
    return lambda shape, dtype: tf.fill(shape, tf.constant(value, dtype))
