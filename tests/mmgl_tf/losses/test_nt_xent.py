import numpy as np
import pytest
import tensorflow as tf

from mmgl_tf.losses.nt_xent import nt_xent
from tests.mmgl_tf.losses.view_pairs import assert_follows, drawn_views, with_gradients


def slow_nt_xent(first, second, temperature):
    """One view at a time: (mean loss, share of views whose partner is the nearest)."""
    views = [row / np.sqrt(sum(row**2)) for row in np.concatenate([first, second])]
    count, losses, right = len(first), [], []
    for i, anchor in enumerate(views):
        partner = i + count if i < count else i - count
        others = {k: anchor @ other for k, other in enumerate(views) if k != i}
        total = sum(np.exp(s / temperature) for s in others.values())
        losses.append(-np.log(np.exp(others[partner] / temperature) / total))
        right.append(max(others, key=others.get) == partner)
    return np.mean(losses), np.mean(right)


@pytest.mark.parametrize(
    ("temperature", "value", "norms", "first"),
    [
        (
            0.1,
            0.319692761484934,
            (0.5701565918559508, 0.641316811413221),
            (-0.1141475287790, -0.0239467588463),
        ),
        (
            0.2,
            0.435083081374287,
            (0.2939454145889135, 0.315604189203115),
            (-0.0503477388087, -0.0126237783408),
        ),
        (
            0.5,
            1.128244399615961,
            (0.1585814497415715, 0.151099589448046),
            (-0.0115948688842, 0.0010496397434),
        ),
    ],
)
def test_golden_numbers_of_another_implementation(temperature, value, norms, first):
    """lightly 1.6.0, NTXentLoss, float64."""
    (loss, _), gradients = with_gradients(lambda x, y: nt_xent(x, y, temperature), *drawn_views())
    assert loss == pytest.approx(value, rel=1e-12)
    assert [np.linalg.norm(g) for g in gradients] == pytest.approx(norms, rel=1e-10)
    assert [g[0, 0] for g in gradients] == pytest.approx(first, abs=1e-12)


@pytest.mark.parametrize("temperature", [0.1, 0.5])
@pytest.mark.parametrize("count", [1, 2, 5])
def test_value_and_gradients_follow_the_slow_version(count, temperature):
    views = drawn_views(count, 4, seed=count, noise=1.5)
    assert_follows(
        lambda x, y: nt_xent(x, y, temperature), lambda x, y: slow_nt_xent(x, y, temperature)[0], *views
    )


@pytest.mark.parametrize("jit", [False, True])
def test_accuracy_counts_partners_that_are_nearest(jit):
    compiled = tf.function(nt_xent, jit_compile=jit, reduce_retracing=True, autograph=False)
    found = []
    for seed in range(5):
        first, second = drawn_views(7, 4, seed, noise=1.0)
        loss, accuracy = compiled(tf.constant(first), tf.constant(second))
        assert (loss.numpy(), accuracy.numpy()) == pytest.approx(slow_nt_xent(first, second, 0.2), rel=1e-6)
        assert accuracy.dtype == tf.float32
        found.append(accuracy.numpy())
    assert min(found) > 0
    assert max(found) < 1


def test_scale_order_and_sides_do_not_matter():
    first, second = drawn_views(7, 4, noise=1.0)
    loss, accuracy = nt_xent(first, second)
    order = np.random.RandomState(0).permutation(7)
    scale = np.linspace(0.1, 9, 7)[:, None]
    again, same = nt_xent(second[order] * scale, first[order])
    assert again.numpy() == pytest.approx(loss.numpy(), rel=1e-12)
    assert same.numpy() == accuracy.numpy()


def test_a_view_is_no_candidate_of_its_own():
    # Orthogonal images, equal views: with the view itself among the candidates the loss were ln 2 at least.
    loss, accuracy = nt_xent(np.eye(4), np.eye(4), temperature=0.05)
    assert loss.numpy() == pytest.approx(np.log(1 + 6 * np.exp(-20)), rel=1e-4)
    assert accuracy.numpy() == 1.0


@pytest.mark.parametrize("value", [0.0, 3.0])
def test_collapsed_embeddings_cost_ln_of_the_candidates_and_are_not_right(value):
    views = [np.full((6, 8), value, "float32")] * 2
    (loss, accuracy), gradients = with_gradients(nt_xent, *views)
    assert loss == pytest.approx(np.log(11), rel=1e-6)
    assert accuracy == 0.0
    assert all(np.isfinite(g).all() for g in gradients)


def test_extreme_temperatures_and_lengths_stay_finite():
    first, second = (view.astype("float32") for view in drawn_views(6, 8))
    for scale in (1e-12, 1e12):
        (loss, _), gradients = with_gradients(lambda x, y: nt_xent(x, y, 0.001), first * scale, second)
        assert np.isfinite(loss)
        assert all(np.isfinite(g).all() for g in gradients)
    worst, _ = nt_xent(np.eye(2, dtype="float32"), -np.eye(2, dtype="float32"), 0.001)
    assert worst.numpy() == pytest.approx(1000 + np.log(2), rel=1e-6)


def test_half_precision_is_raised_first():
    first, second = (tf.cast(view, tf.float16) for view in drawn_views())
    loss, accuracy = nt_xent(first, second)
    assert loss.dtype == accuracy.dtype == tf.float32
    expected = slow_nt_xent(first.numpy().astype("float64"), second.numpy().astype("float64"), 0.2)[0]
    assert loss.numpy() == pytest.approx(expected, rel=1e-5)


def test_a_temperature_of_zero_says_what_was_expected():
    with pytest.raises(ValueError, match="temperature=0; expected a positive number"):
        nt_xent(np.eye(2), np.eye(2), 0)
