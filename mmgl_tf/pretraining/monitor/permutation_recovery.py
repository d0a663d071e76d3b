"""Reading a permutation off the scores, and how often it is right (the paper's "permutation accuracy").

Legend: B images, N stripes. Row i of the scores is shuffled slot i, column j original position j; a
permutation o says that slot i holds original stripe o[i].
"""

import functools
import itertools

import numpy as np
import tensorflow as tf
from scipy.optimize import linear_sum_assignment

# 6! = 720 sums per image are cheap in the graph; 7! is seven times that, 18! is out of reach.
_LARGEST_TABLE = 6


@functools.cache
def permutation_table(num_stripes):
    """All permutations of N positions, in lexicographic order.

    Args:
        num_stripes: N, at most 6.

    Returns:
        int32 [N!, N], read-only; row 0 is the identity.

    Raises:
        ValueError: where N is above 6.
    """
    if num_stripes > _LARGEST_TABLE:
        raise ValueError(
            f"permutation_table got num_stripes={num_stripes}; expected at most {_LARGEST_TABLE}, as the "
            "table has N! rows. Use `recover`, which solves larger ones with SciPy."
        )
    table = np.array(list(itertools.permutations(range(num_stripes))), np.int32)
    table.flags.writeable = False
    return table


def recover(logits):
    """The permutation with the largest total score: exact assignment, the same as the Hungarian method's.

    Noise-free scores are enough: Sinkhorn only adds constants to rows and columns of the logits, which
    changes the total of every permutation by the same amount. Up to six stripes all N! totals are
    compared in the graph; beyond, SciPy solves it on the host (not under XLA, not in an export).

    Args:
        logits: float [B, N, N], finite.

    Returns:
        int32 [B, N]; of equally good permutations the lexicographically first (at most six stripes).
    """
    logits = tf.convert_to_tensor(logits)
    num_stripes = logits.shape[-1]
    if num_stripes > _LARGEST_TABLE:
        recovered = tf.numpy_function(_assign_on_host, [logits], tf.int32)
        return tf.ensure_shape(recovered, logits.shape[:-1])
    table = permutation_table(num_stripes)
    # Gathered and added, not a product with a one-hot table: matmuls may run in TF32 on a GPU, whose ten
    # bits of mantissa would make the assignment inexact.
    cells = table + np.arange(num_stripes, dtype=np.int32) * num_stripes
    scores = tf.gather(tf.reshape(logits, [-1, num_stripes**2]), cells, axis=1)
    best = tf.argmax(tf.reduce_sum(scores, axis=-1), axis=-1)
    return tf.gather(table, best)


def _assign_on_host(logits):
    """The same as `recover` for any N, in NumPy and SciPy: [B, N, N] -> int32 [B, N]."""
    # SciPy refuses what is not finite; the guard of the training loop has the better message for it.
    logits = np.nan_to_num(logits)
    columns = [linear_sum_assignment(matrix, maximize=True)[1] for matrix in logits]
    return np.array(columns, np.int32).reshape(logits.shape[:-1])


def inverse(permutation):
    """The permutation that undoes `permutation`: where in the shuffled image each original stripe is.

    `gather(gather(stripes, o), inverse(o))` gives `stripes` back.

    Args:
        permutation: int [B, N].

    Returns:
        int32 [B, N].
    """
    return tf.argsort(permutation, axis=-1)


def permutation_accuracy(logits, permutation):
    """How well scores tell the true order, image by image.

    Choice: the paper reports "permutation accuracy" without saying which of these it is; `whole` is the
    strictest (flag `select_metric`). Exactly N - 1 correct stripes cannot happen under an assignment.

    Args:
        logits: float [B, N, N].
        permutation: int [B, N], the true order.

    Returns:
        dict of float32 [B] in [0, 1]: `whole`, 1 where all N stripes are assigned rightly (chance 1/N!);
        `stripe`, the share of stripes assigned rightly (chance 1/N); `argmax`, the share of rows whose
        largest score is right, without the constraint of an assignment (chance 1/N).
    """
    permutation = tf.cast(permutation, tf.int32)
    right = tf.cast(recover(logits) == permutation, tf.float32)
    likeliest = tf.argmax(logits, axis=-1, output_type=tf.int32)
    return {
        "whole": tf.reduce_min(right, axis=-1),
        "stripe": tf.reduce_mean(right, axis=-1),
        "argmax": tf.reduce_mean(tf.cast(likeliest == permutation, tf.float32), axis=-1),
    }


def kendall_tau(recovered, permutation):
    """Agreement in order: (concordant - discordant pairs of slots) over all pairs, image by image.

    Args:
        recovered: int [B, N].
        permutation: int [B, N].

    Returns:
        float32 [B] in [-1, 1]; 1 for equal, -1 for reversed orders, 0 by chance.
    """
    first, second = np.triu_indices(recovered.shape[-1], k=1)
    signs = [
        tf.sign(tf.gather(order, first, axis=1) - tf.gather(order, second, axis=1))
        for order in (tf.cast(recovered, tf.int32), tf.cast(permutation, tf.int32))
    ]
    return tf.reduce_mean(tf.cast(signs[0] * signs[1], tf.float32), axis=-1)
