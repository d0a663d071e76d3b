"""Dropout whose mask is a pure function of a seed (Srivastava et al., 2014)."""

import tensorflow as tf

from mmgl_tf.layers.seeded_uniform import seeded_uniform


def dropout(x, rate, seed):
    """Sets a share of the values to 0 and makes up for it: y = x [u >= rate] / (1 - rate), u uniform.

    Args:
        x: float tensor.
        rate: share that is dropped, in [0, 1).
        seed: int32 [2]; see `seeded_uniform`.

    Returns:
        The shape and dtype of x; x itself at rate 0.

    Raises:
        ValueError: rate outside of [0, 1), or no seed.
    """
    if not 0.0 <= rate < 1.0:
        raise ValueError(f"dropout got rate={rate}; expected a share in [0, 1), such as 0.5.")
    if rate == 0.0:
        return x
    if seed is None:
        raise ValueError(
            "dropout got seed=None; expected int32 [2]. Pass a seed made from the run's seed and the "
            "step, so that a resumed run drops the same."
        )
    kept = seeded_uniform(tf.shape(x), seed) >= rate
    return tf.where(kept, x / (1.0 - rate), tf.zeros_like(x))
