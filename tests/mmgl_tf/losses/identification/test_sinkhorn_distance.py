import numpy as np
import pytest
import tensorflow as tf

from mmgl_tf.losses.identification.sinkhorn_distance import sinkhorn_distance
from tests.mmgl_tf.golden_waves import LOGITS, OTHER_LOGITS
from tests.mmgl_tf.losses.view_pairs import assert_follows, with_gradients


def softmax(z):
    powers = np.exp(np.float64(z) - np.max(z, axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def slow_distance(first, second, epsilon=0.01, iterations=100, threshold=0.1):
    """Entry by entry: (loss, rounds)."""
    n, m = len(first), len(second)
    cost = np.array([[sum((x - y) ** 2) for y in second] for x in first])
    u, v = np.zeros(n), np.zeros(m)
    count, moved = 0, np.inf
    while count < iterations and moved >= threshold:
        before = u.copy()
        for i in range(n):
            mass = sum(np.exp((before[i] + v[j] - cost[i, j]) / epsilon) for j in range(m))
            u[i] = before[i] + epsilon * (np.log(1 / n) - np.log(mass + 1e-6))
        for j in range(m):
            mass = sum(np.exp((u[i] + v[j] - cost[i, j]) / epsilon) for i in range(n))
            v[j] += epsilon * (np.log(1 / m) - np.log(mass + 1e-6))
        count, moved = count + 1, np.abs(u - before).sum()
    plan = np.exp((u[:, None] + v - cost) / epsilon)
    return (plan * cost).sum(), count


def drawn(scale, n=5, m=4, classes=6, seed=0):
    random = np.random.RandomState(seed)
    return softmax(scale * random.randn(n, classes)), softmax(scale * random.randn(m, classes))


def test_golden_number_of_the_reference():
    found, count = sinkhorn_distance(tf.nn.softmax(LOGITS), tf.nn.softmax(OTHER_LOGITS))
    assert found.numpy() == pytest.approx(0.006698, abs=5e-7)
    assert count.numpy() == slow_distance(softmax(LOGITS), softmax(OTHER_LOGITS))[1] == 2


@pytest.mark.parametrize(
    ("scale", "jit"), [(0.01, None), (1.0, None), (3.0, None), (8.0, None), (8.0, False), (8.0, True)]
)
def test_value_rounds_and_gradients_follow_the_slow_version(scale, jit):
    first, second = drawn(scale)
    options = {"threshold": 0.01} if scale == 3.0 else {}
    expected, rounds = slow_distance(first, second, **options)

    def distance(x, y):
        return sinkhorn_distance(x, y, **options)

    if jit is not None:
        plain = distance

        @tf.function(jit_compile=jit, autograph=False)
        def value_and_gradients(x, y):
            with tf.GradientTape() as tape:
                tape.watch((x, y))
                value, count = plain(x, y)
            return value, count, tape.gradient(value, (x, y))

        value, count, gradients = value_and_gradients(tf.constant(first), tf.constant(second))
        by_hand = with_gradients(distance, first, second)[1]
        for gradient, other in zip(gradients, by_hand, strict=True):
            np.testing.assert_allclose(gradient, other, rtol=1e-8, atol=1e-14)
    else:
        value, count = distance(first, second)
        assert_follows(distance, lambda x, y: slow_distance(x, y, **options)[0], first, second)
    assert value.numpy() == pytest.approx(expected, rel=1e-9)
    assert count.numpy() == rounds
    assert rounds == 2 if scale <= 1 else rounds > 2


def test_rounds_end_at_the_limit():
    first, second = drawn(8.0)
    value, count = sinkhorn_distance(first, second, iterations=3, threshold=1e-9)
    assert count.numpy() == 3
    assert value.numpy() == pytest.approx(slow_distance(first, second, iterations=3, threshold=1e-9)[0])


def test_many_rounds_give_a_plan_of_even_masses_and_the_transport_cost():
    # Two pairs of points far apart in another order: the plan matches them up.
    first = np.array([(1.0, 0.0), (0.5, 0.5)])
    second = np.array([(0.5, 0.5), (0.9, 0.1)])
    value, _ = sinkhorn_distance(first, second, threshold=1e-9)
    assert value.numpy() == pytest.approx((0.0 + 0.02) / 2, rel=1e-3)


def test_it_compares_batches_whatever_their_order():
    first, second = drawn(3.0)
    value = sinkhorn_distance(first, second)[0].numpy()
    assert sinkhorn_distance(first[::-1], second[[2, 0, 3, 1]])[0].numpy() == pytest.approx(value, rel=1e-9)
    assert sinkhorn_distance(second, second[::-1])[0].numpy() < value


def test_collapsed_and_certain_distributions_leave_the_gradient_finite():
    for first, second in (
        (np.full((4, 5), 0.2, "float32"), np.full((4, 5), 0.2, "float32")),
        (np.eye(5, dtype="float32"), np.eye(5, dtype="float32")[[0, 0, 0, 1, 2]]),
    ):
        (value, _), gradients = with_gradients(sinkhorn_distance, first, second)
        assert np.isfinite(value)
        assert all(np.isfinite(g).all() for g in gradients)


def test_half_precision_is_raised():
    first, second = drawn(1.0)
    assert sinkhorn_distance(tf.cast(first, tf.float16), tf.cast(second, tf.float16))[0].dtype == tf.float32


def test_bad_arguments_say_what_was_expected():
    with pytest.raises(ValueError, match=r"epsilon=0\.0.*expected positive numbers"):
        sinkhorn_distance(*drawn(1.0), epsilon=0.0)


def test_no_gradient_within_the_loop_is_a_sum_of_more_than_two():
    """TensorFlow rewrites those of a large graph such that a loop's later rounds fail."""

    @tf.function(autograph=False)
    def gradient(first, second):
        with tf.GradientTape() as tape:
            tape.watch(first)
            loss, _ = sinkhorn_distance(first, second)
        return tape.gradient(loss, first)

    traced = gradient.get_concrete_function(tf.TensorSpec((8, 5)), tf.TensorSpec((8, 5)))
    functions = traced.graph.as_graph_def().library.function
    loops = [function for function in functions if "while_body" in function.signature.name]
    sums = [node.attr["N"].i for loop in loops for node in loop.node_def if node.op == "AddN"]
    assert sums and max(sums) == 2
