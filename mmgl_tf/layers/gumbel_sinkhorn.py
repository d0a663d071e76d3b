"""Sinkhorn normalisation and its Gumbel-perturbed samples (MMGL Eqs. 2 and 3).

Legend: G Gumbel samples, B images, N stripes. Matrices have shuffled slots as rows and original
positions as columns.
"""

import keras
import tensorflow as tf

from mmgl_tf.layers.full_precision import at_least_float32, full_precision
from mmgl_tf.layers.seeded_uniform import seeded_uniform

# -log(-log u) is infinite at u = 0 and u = 1. Clipping here bounds the noise to [-2.78, 16.1]; a
# smaller margin is worthless, because 1 - 1e-8 rounds to 1 in float32.
_UNIFORM_MARGIN = 1e-7


def sinkhorn(logits, iterations):
    """Turns score matrices into nearly doubly stochastic ones (MMGL Eq. 2).

    S^0(X) = exp(X), S^l(X) = Tc(Tr(S^{l-1}(X))): rows are divided by their sums, then columns by
    theirs, `iterations` times. Done on logarithms, because exp(X) overflows float32 at X > 88.

    The columns of the result sum to one (up to rounding); the rows only approximately, see
    `row_error`. Adding a constant to a row of `logits` changes nothing; adding one to a column
    changes nothing in the limit of many iterations.

    Args:
        logits: float [..., N, N], any range. float64 stays float64 (gradient tests), anything else
            is computed in float32.
        iterations: how many row-and-column passes, at least 1. The paper uses 20.

    Returns:
        [..., N, N] of non-negative entries, float32 or float64.

    Raises:
        ValueError: where `iterations` is below 1 or the last two axes are not square.
    """
    if iterations < 1:
        raise ValueError(f"sinkhorn got iterations={iterations}; expected at least 1. The paper uses 20.")
    logits = at_least_float32(tf.convert_to_tensor(logits))
    rows, columns = logits.shape[-2:]
    if rows is None or rows != columns:
        raise ValueError(
            f"sinkhorn got logits of shape {tuple(logits.shape)}; expected square matrices of a known size "
            "in the last two axes. Reshape the N*N scores of an image to [N, N]."
        )
    # The N x N axes go to the front: sums over six neighbouring values cannot be vectorised, sums over
    # six long rows can. Forward and backward together are 2.5 times faster on a CPU that way.
    matrices = tf.transpose(tf.reshape(logits, [-1, rows * columns]))
    matrices = tf.reshape(matrices, [rows, columns, -1])
    for _ in range(iterations):
        matrices -= tf.reduce_logsumexp(matrices, axis=1, keepdims=True)
        matrices -= tf.reduce_logsumexp(matrices, axis=0, keepdims=True)
    soft = tf.transpose(tf.reshape(tf.exp(matrices), [rows * columns, -1]))
    return tf.ensure_shape(tf.reshape(soft, tf.shape(logits)), logits.shape)


def gumbel_noise(shape, seed):
    """Standard Gumbel noise -log(-log u), a pure function of its seed.

    Mean 0.5772 (Euler's constant), standard deviation pi / sqrt(6) = 1.2825, range [-2.78, 16.1].

    Args:
        shape: shape of the result.
        seed: int32 [2]; equal seeds give equal draws on every device, compiled with XLA or not, and noise
            that differs by the rounding of the logarithm at most.

    Returns:
        float32 tensor of `shape`.
    """
    uniform = seeded_uniform(shape, seed)
    uniform = tf.clip_by_value(uniform, _UNIFORM_MARGIN, 1.0 - _UNIFORM_MARGIN)
    return -tf.math.log(-tf.math.log(uniform))


def row_error(soft):
    """How far Sinkhorn is from convergence: the largest |row sum - 1|.

    Columns are normalised last and are exact; a value above about 0.1 calls for more iterations or a
    higher temperature.

    Args:
        soft: [..., N, N] from `sinkhorn`.

    Returns:
        Scalar in [0, N - 1].
    """
    return tf.reduce_max(tf.abs(tf.reduce_sum(soft, axis=-1) - 1.0))


@keras.saving.register_keras_serializable("mmgl")
class GumbelSinkhorn(keras.layers.Layer):
    """Soft permutation matrices S((X + scale * noise) / temperature) (MMGL Eq. 3).

    In training each image gets several noisy samples; in evaluation one, noise-free. The temperature
    divides in both cases, and divides the noise too. Always float32, also under mixed precision:
    bfloat16 leaves column sums off by 6e-3.

    Choice: the paper names neither temperature nor noise scale; both are 1, as in the public
    Gumbel-Sinkhorn implementations (flags `sinkhorn_tau`, `gumbel_scale`). The ablated 0.07 of the
    paper is the contrast temperature, not this one.

    Args:
        iterations: Sinkhorn iterations (paper: 20).
        temperature: positive divisor of the perturbed scores.
        samples: noisy samples per image in training (authors: 10).
        noise_scale: factor of the Gumbel noise in training; 0 = noise-free.
    """

    def __init__(self, iterations=20, temperature=1.0, samples=10, noise_scale=1.0, **kwargs):
        kwargs["dtype"] = full_precision()
        super().__init__(**kwargs)
        if iterations < 1 or samples < 1:
            raise ValueError(
                f"GumbelSinkhorn got iterations={iterations}, samples={samples}; expected at least 1 of each."
            )
        if temperature <= 0.0 or noise_scale < 0.0:
            raise ValueError(
                f"GumbelSinkhorn got temperature={temperature}, noise_scale={noise_scale}; expected a "
                "positive temperature and a noise scale of at least 0."
            )
        self.iterations = iterations
        self.temperature = temperature
        self.samples = samples
        self.noise_scale = noise_scale

    def call(self, logits, training=False, seed=None):
        """Samples soft permutations.

        Args:
            logits: [B, N, N] scores, rows are shuffled slots, columns original positions.
            training: True for noisy samples.
            seed: int32 [2], needed where noise is drawn; the caller makes it from (seed, step).

        Returns:
            float32 [G, B, N, N]; G = `samples` with noise, 1 without.

        Raises:
            ValueError: where noise is needed and `seed` is None.
        """
        scores = tf.expand_dims(logits, 0)
        if training and self.noise_scale > 0.0:
            if seed is None:
                raise ValueError(
                    "GumbelSinkhorn got seed=None in training; expected int32 [2]. Pass a seed made from the "
                    "run's seed and the step, so that a resumed run draws the same noise."
                )
            noise_shape = tf.concat([[self.samples], tf.shape(logits)], axis=0)
            scores += tf.cast(self.noise_scale * gumbel_noise(noise_shape, seed), scores.dtype)
        return sinkhorn(scores / self.temperature, self.iterations)

    def get_config(self):
        """The constructor's arguments."""
        return {
            **super().get_config(),
            "iterations": self.iterations,
            "temperature": self.temperature,
            "samples": self.samples,
            "noise_scale": self.noise_scale,
        }
