import numpy as np
import pytest
import tensorflow as tf

from mmgl_tf.losses.cross_correlation import barlow_twins, cross_correlation
from tests.mmgl_tf.losses.view_pairs import assert_follows, drawn_views, with_gradients


def slow_correlation(first, second, epsilon=1e-5):
    """One pair of dimensions at a time."""

    def standardised(column):
        mean = sum(column) / len(column)
        variance = sum((column - mean) ** 2) / len(column)
        return (column - mean) / np.sqrt(variance + epsilon)

    return np.array([[np.mean(standardised(x) * standardised(y)) for y in second.T] for x in first.T])


def slow_parts(first, second, epsilon=1e-5):
    correlation = slow_correlation(first, second, epsilon)
    size = len(correlation)
    on = sum((1 - correlation[i, i]) ** 2 for i in range(size))
    off = sum(correlation[i, j] ** 2 for i in range(size) for j in range(size) if i != j)
    return on, off, np.trace(correlation) / size


def slow_loss(first, second, weight=0.0051, epsilon=1e-5):
    on, off, _ = slow_parts(first, second, epsilon)
    return on + weight * off


@pytest.mark.parametrize(
    ("weight", "value", "norms", "first"),
    [
        (
            0.0051,
            0.16050126564577732,
            (0.27069899825481897, 0.18049720505927158),
            (-0.000337173780, 0.001444160408),
        ),
        (1.0, 13.482297605451391, (2.5205919496858935, 2.044992934390197), (0.106477107980, 0.158019638940)),
    ],
)
def test_golden_numbers_of_another_implementation(weight, value, norms, first):
    """lightly 1.6.0, BarlowTwinsLoss, float64."""
    (loss, *_), gradients = with_gradients(lambda x, y: barlow_twins(x, y, weight), *drawn_views())
    assert loss == pytest.approx(value, rel=1e-10)
    assert [np.linalg.norm(g) for g in gradients] == pytest.approx(norms, rel=1e-8)
    assert [g[0, 0] for g in gradients] == pytest.approx(first, rel=1e-8)


@pytest.mark.parametrize("weight", [0.0, 0.0051, 1.0])
@pytest.mark.parametrize("count", [2, 7])
def test_value_and_gradients_follow_the_slow_version(count, weight):
    views = drawn_views(count, 4, seed=count)
    assert_follows(lambda x, y: barlow_twins(x, y, weight), lambda x, y: slow_loss(x, y, weight), *views)


def test_parts_are_returned_unweighted():
    first, second = drawn_views(7, 4)
    loss, on, off, mean = (x.numpy() for x in barlow_twins(first, second, 0.1))
    assert (on, off, mean) == pytest.approx(slow_parts(first, second), rel=1e-10)
    assert loss == pytest.approx(on + 0.1 * off, rel=1e-12)


def test_epsilon_counts_for_small_variances_only():
    first, second = drawn_views(7, 4)
    small, large = (cross_correlation(first, second, epsilon).numpy() for epsilon in (1e-5, 1.0))
    np.testing.assert_allclose(large, slow_correlation(first, second, 1.0), rtol=1e-10)
    assert np.abs(small - large).max() > 0.05
    np.testing.assert_allclose(cross_correlation(5 * first + 3, second), small, atol=1e-4)


def test_equal_views_of_independent_dimensions_cost_nothing():
    table = np.array([(a, b) for a in (-1, 1) for b in (-1, 1)], "float32")
    loss, on, off, mean = barlow_twins(table, table)
    assert (loss.numpy(), on.numpy(), off.numpy(), mean.numpy()) == pytest.approx((0, 0, 0, 1), abs=1e-4)
    opposite = barlow_twins(table, -table)
    assert opposite[1].numpy() == pytest.approx(8.0, rel=1e-4)
    assert opposite[3].numpy() == pytest.approx(-1.0, rel=1e-4)


def test_redundant_dimensions_cost_the_off_diagonal():
    column = np.random.RandomState(0).randn(9, 1)
    _, on, off, _ = barlow_twins(np.tile(column, 5), np.tile(column, 5))
    assert on.numpy() == pytest.approx(0.0, abs=1e-6)
    assert off.numpy() == pytest.approx(20.0, rel=1e-4)


def test_rank_floor_of_a_small_batch():
    """With as many dimensions and 5 images, even a perfect diagonal costs D^2 / (n - 1) - D."""
    images = np.random.RandomState(0).randn(5, 40)
    _, on, off, _ = barlow_twins(images, images)
    assert on.numpy() < 1e-6
    assert off.numpy() >= 40**2 / 4 - 40 - 0.05


def test_a_collapsed_batch_has_no_correlation_and_a_finite_gradient():
    flat = np.full((6, 8), 3.0, "float32")
    (loss, on, off, mean), gradients = with_gradients(barlow_twins, flat, flat)
    assert (loss, on, off, mean) == pytest.approx((8.0, 8.0, 0.0, 0.0), abs=1e-6)
    assert all(np.isfinite(g).all() for g in gradients)


def test_large_means_leave_the_variance_its_digits():
    first, second = (view.astype("float32") for view in drawn_views(7, 4))
    expected = cross_correlation(first, second).numpy()
    np.testing.assert_allclose(cross_correlation(first + 1000, second - 1000), expected, atol=1e-3)


@pytest.mark.parametrize("jit", [False, True])
def test_half_precision_is_raised_first(jit):
    views = [tf.cast(view, tf.bfloat16) for view in drawn_views(7, 4)]
    loss, *_ = tf.function(barlow_twins, jit_compile=jit, autograph=False)(*views)
    assert loss.dtype == tf.float32
    exact = slow_loss(*(tf.cast(view, tf.float64).numpy() for view in views))
    assert loss.numpy() == pytest.approx(exact, rel=1e-5)


def test_a_negative_weight_says_what_was_expected():
    with pytest.raises(ValueError, match=r"off_diagonal_weight=-1; expected at least 0"):
        barlow_twins(*drawn_views(), off_diagonal_weight=-1)
