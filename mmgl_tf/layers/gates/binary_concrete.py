"""Gates that are 0 or 1 and still learn: binary concrete noise, straight through (Maddison et al., 2017)."""

import tensorflow as tf

from mmgl_tf.layers.full_precision import at_least_float32
from mmgl_tf.layers.seeded_uniform import seeded_uniform

# The logistic noise log u - log(1 - u) is infinite at u = 0 and 1; this bounds it to +-16.
_UNIFORM_MARGIN = 1e-7


def binary_concrete(logits, temperature=1.0, training=False, seed=None):
    """Opens each gate with probability sigmoid(logit) in training, and where its logit is above 0 otherwise.

        training:    s = sigmoid((l + log u - log(1 - u)) / t),   gate = [s > 1/2], gradient that of s
        evaluation:  gate = [l > 0]

    Args:
        logits: float tensor [B, ...]; half precision is raised to float32.
        temperature: t, positive. It does not change how often a gate opens, only the gradient: the lower, the
            more it comes from undecided gates.
        training: True for noise.
        seed: int32 [2], or int32 [B, 2], one for each image; needed in training. See `seeded_uniform`.

    Returns:
        As `logits`, exactly 0 or 1; without gradient in evaluation.

    Raises:
        ValueError: a temperature that is not positive, or no seed in training.
    """
    logits = at_least_float32(tf.convert_to_tensor(logits))
    if not training:
        return tf.cast(logits > 0.0, logits.dtype)
    if seed is None:
        raise ValueError(
            "binary_concrete got seed=None in training; expected int32 [2]. Pass a seed made from the run's "
            "seed and the step, so that a resumed run draws the same noise."
        )
    if not tf.is_tensor(temperature) and temperature <= 0.0:
        raise ValueError(f"binary_concrete got temperature={temperature}; expected a positive number.")
    uniform = tf.cast(seeded_uniform(tf.shape(logits), seed), logits.dtype)
    uniform = tf.clip_by_value(uniform, _UNIFORM_MARGIN, 1.0 - _UNIFORM_MARGIN)
    noise = tf.math.log(uniform) - tf.math.log1p(-uniform)
    soft = tf.sigmoid((logits + noise) / tf.cast(temperature, logits.dtype))
    # The difference is exactly 0, and carries the gradient.
    return tf.cast(soft > 0.5, logits.dtype) + (soft - tf.stop_gradient(soft))
