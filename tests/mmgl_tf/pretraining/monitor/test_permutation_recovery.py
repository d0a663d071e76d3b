import itertools

import numpy as np
import pytest
import tensorflow as tf
from scipy.optimize import linear_sum_assignment

from mmgl_tf.layers.gumbel_sinkhorn import gumbel_noise, sinkhorn
from mmgl_tf.losses.permutation import KINDS, permutation_loss
from mmgl_tf.pretraining.monitor.permutation_recovery import (
    inverse,
    kendall_tau,
    permutation_accuracy,
    permutation_table,
    recover,
)


@pytest.fixture
def random():
    return np.random.default_rng(2)


def orders(random, count, size):
    return random.permuted(np.tile(np.arange(size, dtype=np.int32), (count, 1)), axis=1)


@pytest.mark.parametrize("size", [2, 3, 4, 5, 6, 7, 18])
def test_assignment_is_the_hungarian_one(random, size):
    logits = random.normal(size=(50, size, size)).astype(np.float32)
    expected = [linear_sum_assignment(matrix, maximize=True)[1] for matrix in logits]
    recovered = recover(logits)
    assert recovered.dtype == tf.int32
    np.testing.assert_array_equal(recovered, expected)
    graph = tf.function(recover, input_signature=[tf.TensorSpec([None, size, size])], autograph=False)
    np.testing.assert_array_equal(graph(logits), expected)
    assert graph(logits).shape == (50, size)


def test_assignment_beats_every_other_permutation_and_not_only_row_maxima(random):
    logits = random.normal(size=(1, 4, 4))
    totals = {
        order: sum(logits[0, i, j] for i, j in enumerate(order)) for order in itertools.permutations(range(4))
    }
    assert tuple(recover(logits).numpy()[0]) == max(totals, key=totals.get)
    greedy_is_wrong = np.array([[[9.0, 8.0], [9.0, 0.0]]])
    assert recover(greedy_is_wrong).numpy().tolist() == [[1, 0]]


def test_assignment_ignores_row_and_column_shifts(random):
    logits = random.normal(size=(30, 6, 6))
    shifted = logits + random.normal(size=(30, 6, 1)) + random.normal(size=(30, 1, 6))
    np.testing.assert_array_equal(recover(shifted), recover(logits))
    # ... so that log-Sinkhorn scores recover the same order as the logits.
    np.testing.assert_array_equal(recover(np.log(sinkhorn(logits, 20))), recover(logits))


def test_differences_below_half_precision_still_decide():
    # TF32 and bfloat16 keep three digits; a one-hot matmul on a GPU would call this a tie.
    logits = np.full((1, 2, 2), 1000.0, np.float32)
    logits[0, 0, 1] += 0.01
    assert recover(logits).numpy().tolist() == [[1, 0]]


def test_table_of_all_permutations():
    table = permutation_table(6)
    assert table.shape == (720, 6)
    assert len({tuple(row) for row in table}) == 720
    assert table[0].tolist() == [0, 1, 2, 3, 4, 5]
    with pytest.raises(ValueError, match="at most 6"):
        permutation_table(7)


def test_accuracies_per_image():
    permutation = np.array([[1, 2, 0], [1, 2, 0], [2, 1, 0]], np.int64)
    believed = np.array([[1, 2, 0], [1, 0, 2], [0, 2, 1]])
    accuracy = permutation_accuracy(10.0 * np.eye(3, dtype=np.float32)[believed], permutation)
    for values in accuracy.values():
        assert values.dtype == tf.float32
    np.testing.assert_allclose(accuracy["whole"], [1.0, 0.0, 0.0])
    np.testing.assert_allclose(accuracy["stripe"], [1.0, 1 / 3, 0.0], rtol=1e-6)
    np.testing.assert_allclose(accuracy["argmax"], [1.0, 1 / 3, 0.0], rtol=1e-6)
    # Row maxima may repeat a position, an assignment may not.
    repeated = permutation_accuracy(np.array([[[9.0, 8.0], [9.0, 0.0]]]), np.array([[0, 1]]))
    np.testing.assert_allclose([repeated["stripe"][0], repeated["argmax"][0]], [0.0, 0.5])


def test_exactly_five_of_six_never_happens_and_chance_is_chance(random):
    accuracy = permutation_accuracy(
        random.normal(size=(4_000, 6, 6)).astype(np.float32), orders(random, 4_000, 6)
    )
    counts = np.bincount(np.rint(6 * accuracy["stripe"].numpy()).astype(int), minlength=7)
    assert counts[5] == 0
    assert counts[4] > 0
    assert abs(accuracy["whole"].numpy().mean() - 1 / 720) < 2e-3
    assert abs(accuracy["stripe"].numpy().mean() - 1 / 6) < 0.01
    assert abs(accuracy["argmax"].numpy().mean() - 1 / 6) < 0.01


def test_shuffled_stripes_come_back_bit_for_bit(random):
    stripes = random.integers(0, 256, size=(5, 6, 8, 4, 3)).astype(np.uint8)
    permutation = orders(random, 5, 6)
    shuffled = tf.gather(stripes, permutation, axis=1, batch_dims=1)
    recovered = recover(50.0 * np.eye(6, dtype=np.float32)[permutation])
    restored = tf.gather(shuffled, inverse(recovered), axis=1, batch_dims=1)
    np.testing.assert_array_equal(restored, stripes)


def test_kendall_tau(random):
    first, second = orders(random, 20, 6), orders(random, 20, 6)
    expected = []
    for a, b in zip(first, second, strict=True):
        pairs = [(a[i] - a[k]) * (b[i] - b[k]) for i in range(6) for k in range(i)]
        expected.append(np.mean(np.sign(pairs)))
    np.testing.assert_allclose(kendall_tau(first, second), expected, atol=1e-6)
    np.testing.assert_allclose(kendall_tau(first, first), 1.0)
    np.testing.assert_allclose(kendall_tau(first, 5 - first), -1.0)


# From logits to loss: Eqs. 2, 3 and 4 in a row.


@pytest.mark.parametrize("kind", KINDS)
def test_confident_logits_cost_nothing(random, kind):
    permutation = orders(random, 4, 6)
    logits = 50.0 * np.eye(6, dtype=np.float32)[permutation]
    assert permutation_loss(sinkhorn(logits, 20)[None], permutation, kind) < 1e-6


@pytest.mark.parametrize("kind", KINDS)
def test_gradient_through_noise_sinkhorn_and_loss(random, kind):
    permutation = orders(random, 2, 4)
    noise = gumbel_noise([2, 2, 4, 4], [3, 4]).numpy().astype(np.float64)
    theoretical, numerical = tf.test.compute_gradient(
        lambda logits: permutation_loss(sinkhorn((logits + noise) / 0.8, 20), permutation, kind),
        [random.normal(size=(2, 4, 4))],
        delta=1e-5,
    )
    np.testing.assert_allclose(theoretical[0], numerical[0], atol=1e-6)


def test_start_value_with_gumbel_noise_is_that_of_the_acceptance_check(random):
    permutation = orders(random, 96, 6)
    soft = sinkhorn(gumbel_noise([10, 96, 6, 6], [0, 1]), 20)
    assert 2.9 < permutation_loss(soft, permutation, "rank", "mean") < 3.9
    assert 5.0 < permutation_loss(soft, permutation, "matrix", "sum") < 6.5


@pytest.mark.parametrize("stripes", [6, 9])
def test_scores_that_are_not_numbers_do_not_raise(stripes):
    """The training loop's guard has the better message."""
    logits = tf.fill([2, stripes, stripes], float("nan"))
    assert recover(logits).shape == (2, stripes)
