"""The entropic optimal-transport distance of two batches of class distributions (Cuturi, 2013; VCD's CML).

Legend: n and m rows of the two batches, K classes, e weight of the entropy.
"""

import tensorflow as tf

from mmgl_tf.losses.full_precision import at_least_float32
from mmgl_tf.losses.identification.distances import pairwise_squares

# Added to the sums before the logarithm, as in the released code.
_SMALL = 1e-6


def sinkhorn_distance(first, second, epsilon=0.01, iterations=100, threshold=0.1):
    """What it costs to move the rows of one batch to those of the other, all of equal mass.

    With squared Euclidean costs C_ij and u = v = 0 at first, at most `iterations` times:

        M    = (u_i + v_j - C_ij) / e
        u_i <- u_i + e (log(1/n) - log(sum_j exp(M_ij) + 1e-6))
        v_j <- v_j + e (log(1/m) - log(sum_i exp(M_ij) + 1e-6)),   M with the new u
        stop once sum_i |change of u_i| < threshold

        loss = sum_ij exp(M_ij) C_ij

    The gradient goes through the iterations. It compares the batches as clouds of points: which row stands
    where does not matter, and rows are not paired by identity.

    Choice: that is the released code. Its 1e-6 keeps a row without any near partner at the mass it got so
    far, where a true Sinkhorn iteration (log-sum-exp) would go on; its coarse threshold ends most calls after
    two rounds, with rows of the plan that do not sum to 1 / n yet.

    Args:
        first: float [n, K], rows that sum to 1; any float type.
        second: float [m, K].
        epsilon: e, positive, in units of C (at most 2 between distributions).
        iterations: at least 1.
        threshold: positive, in units of C.

    Returns:
        Scalar, at least 0, float32 (float64 for float64 `first`), and the number of iterations, int32.

    Raises:
        ValueError: epsilon or threshold not positive, or fewer than one iteration.
    """
    if epsilon <= 0.0 or threshold <= 0.0 or iterations < 1:
        raise ValueError(
            f"sinkhorn_distance got epsilon={epsilon}, iterations={iterations}, threshold={threshold}; "
            "expected positive numbers, such as 0.01, 100 and 0.1."
        )
    first = at_least_float32(first)
    # In float64: what is rounded is divided by e, which costs float32 two of its seven digits.
    cost = pairwise_squares(first, second)
    log_rows = -tf.math.log(tf.cast(tf.shape(cost)[0], cost.dtype))
    log_columns = -tf.math.log(tf.cast(tf.shape(cost)[1], cost.dtype))

    def plan_of(u, v):
        return tf.exp((u[:, tf.newaxis] + v[tf.newaxis] - cost) / epsilon)

    def step(count, u, v, _):
        # One exponential: M with the new u is M with the old one, each row divided by n times its sum. And no
        # gradient within the loop is then a sum of more than two. TensorFlow (2.20) rewrites longer sums of a
        # large graph to save memory, and the loop's later rounds fail ("Resource ... ALREADY_EXISTS").
        plan = plan_of(u, v)
        rows = tf.reduce_sum(plan, axis=1) + _SMALL
        new = u + epsilon * (log_rows - tf.math.log(rows))
        plan *= (tf.exp(log_rows) / rows)[:, tf.newaxis]
        v += epsilon * (log_columns - tf.math.log(tf.reduce_sum(plan, axis=0) + _SMALL))
        moved = tf.stop_gradient(tf.reduce_sum(tf.abs(new - u)))
        return count + 1, new, v, moved

    count, u, v, _ = tf.while_loop(
        lambda count, u, v, moved: moved >= threshold,
        step,
        (
            tf.constant(0),
            tf.zeros_like(cost[:, 0]),
            tf.zeros_like(cost[0]),
            tf.constant(threshold, cost.dtype),
        ),
        maximum_iterations=iterations,  # which XLA needs for the gradient
    )
    return tf.cast(tf.reduce_sum(plan_of(u, v) * cost), first.dtype), count
