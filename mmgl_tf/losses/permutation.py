"""Permutation recovery: how far a soft permutation is from the true one (MMGL Eq. 4).

Legend: G Gumbel samples, B images, N stripes. `soft[g, b, i, j]` is the belief that shuffled slot i
holds original stripe j; the truth is P[b, i, permutation[b, i]] = 1.
"""

import tensorflow as tf

from mmgl_tf.losses.choices import require_choice

KINDS = ("matrix", "rank", "forward")
REDUCTIONS = ("sum", "mean")
SAMPLE_REDUCTIONS = ("loss", "matrix")
RANK_SCALES = ("raw", "unit")


def permutation_loss(
    soft, permutation, kind="matrix", reduction="sum", sample_reduce="loss", rank_scale="raw"
):
    """Squared error between soft and true permutations (MMGL Eq. 4).

    With O_j = j the original ranks and o_i = permutation[b, i] the shuffled ones:

        matrix   (soft_ij - P_ij)^2              over i and j
        rank     (O_j - sum_i soft_ij o_i)^2     over j: un-shuffling the ranks
        forward  (o_i - sum_j soft_ij O_j)^2     over i: shuffling the ranks

    summed or averaged over those positions, then averaged over samples and images. Over doubly
    stochastic matrices all three are zero at the true permutation only. `rank` weighs by columns,
    which Sinkhorn leaves exact; `forward` by rows, which it does not.

    At soft = 1/6 everywhere the values are: matrix 0.139 (mean) or 5 (sum), rank and forward about
    2.92 or 17.5.

    Choice: Eq. 4 is written on ranks and drawn on matrices. `matrix` summed learns far faster in our
    experiments and is the default (flags `perm_loss`, `perm_reduction`; docs/choices.md).

    Args:
        soft: float [G, B, N, N] in [0, 1], columns summing to one.
        permutation: int [B, N], the original position of each shuffled slot.
        kind: one of `KINDS`.
        reduction: over the positions of one permutation, one of `REDUCTIONS`.
        sample_reduce: "loss" averages the samples' losses, "matrix" takes the loss of their mean.
        rank_scale: ranks 0..N-1 ("raw") or 0..1 ("unit"); no effect on `matrix`.

    Returns:
        Scalar, at least 0, of the type of `soft`.

    Raises:
        ValueError: for an unknown option.
    """
    require_choice("permutation_loss", "kind", kind, KINDS)
    require_choice("permutation_loss", "reduction", reduction, REDUCTIONS)
    require_choice("permutation_loss", "sample_reduce", sample_reduce, SAMPLE_REDUCTIONS)
    require_choice("permutation_loss", "rank_scale", rank_scale, RANK_SCALES)
    soft = tf.convert_to_tensor(soft)
    num_stripes = soft.shape[-1]
    if sample_reduce == "matrix":
        soft = tf.reduce_mean(soft, axis=0, keepdims=True)
    if kind == "matrix":
        error = soft - tf.one_hot(permutation, num_stripes, dtype=soft.dtype)
        position_axes = [-2, -1]
    else:
        unit = num_stripes - 1 if rank_scale == "unit" else 1
        original = tf.range(num_stripes, dtype=soft.dtype) / unit
        shuffled = tf.cast(permutation, soft.dtype) / unit
        # Products and sums instead of a matmul: exact float32 also where matmuls run in TF32.
        if kind == "rank":
            error = original - tf.reduce_sum(soft * shuffled[:, :, tf.newaxis], axis=-2)
        else:
            error = shuffled - tf.reduce_sum(soft * original, axis=-1)
        position_axes = [-1]
    reduce = tf.reduce_sum if reduction == "sum" else tf.reduce_mean
    return tf.reduce_mean(reduce(tf.square(error), axis=position_axes))
