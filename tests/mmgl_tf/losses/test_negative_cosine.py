import numpy as np
import pytest
import tensorflow as tf

from mmgl_tf.losses.negative_cosine import byol_loss, negative_cosine, simsiam_loss
from tests.mmgl_tf.losses.view_pairs import assert_follows, drawn_views, with_gradients


def slow_cosine(first, second):
    return np.mean(
        [x @ y / max(np.sqrt((x @ x) * (y @ y)), 1e-16) for x, y in zip(first, second, strict=True)]
    )


def slow_simsiam(p1, p2, z1, z2):
    return -0.5 * slow_cosine(p1, z2) - 0.5 * slow_cosine(p2, z1)


def slow_byol(p1, p2, z1, z2):
    """Squared distances of unit vectors, as the paper writes it."""

    def unit(rows):
        return rows / np.sqrt((rows**2).sum(axis=1, keepdims=True))

    return sum(((unit(p) - unit(z)) ** 2).sum(axis=1).mean() for p, z in ((p1, z2), (p2, z1)))


def four(count=5, size=4, seed=3):
    return [*drawn_views(count, size, seed), *drawn_views(count, size, seed + 10)]


def test_golden_numbers_of_another_implementation():
    """lightly 1.6.0, NegativeCosineSimilarity, float64; its caller detaches the second argument."""
    loss, gradients = with_gradients(negative_cosine, *drawn_views())
    assert loss == pytest.approx(-0.8963715023646183, rel=1e-12)
    assert np.linalg.norm(gradients[0]) == pytest.approx(0.08165187608200322, rel=1e-10)
    assert gradients[0][0, 0] == pytest.approx(-0.004408611444889909, abs=1e-12)


@pytest.mark.parametrize(("loss", "slow"), [(simsiam_loss, slow_simsiam), (byol_loss, slow_byol)])
def test_value_and_gradients_follow_the_slow_version(loss, slow):
    p1, p2, z1, z2 = four()
    targets = [z.astype("float32") for z in (z1, z2)]
    assert_follows(lambda x, y: loss(x, y, *targets), lambda x, y: slow(x, y, z1, z2), p1, p2)


@pytest.mark.parametrize("loss", [simsiam_loss, byol_loss])
def test_no_gradient_reaches_the_targets(loss):
    _, gradients = with_gradients(loss, *four())
    assert np.abs(gradients[0]).max() > 1e-3
    assert np.abs(gradients[1]).max() > 1e-3
    np.testing.assert_array_equal(gradients[2], np.zeros_like(gradients[2]))
    np.testing.assert_array_equal(gradients[3], np.zeros_like(gradients[3]))


@pytest.mark.parametrize("loss", [simsiam_loss, lambda *views: byol_loss(*views)[0]])
def test_each_prediction_meets_the_other_views_target(loss):
    p1, p2, z1, z2 = four(seed=5)
    value = loss(p1, p2, z1, z2).numpy()
    assert loss(p2, p1, z2, z1).numpy() == pytest.approx(value)
    assert abs(loss(p1, p2, z2, z1).numpy() - value) > 0.01


@pytest.mark.parametrize(("sign", "simsiam", "byol"), [(1.0, -1.0, 0.0), (-1.0, 1.0, 8.0), (0.0, 0.0, 4.0)])
def test_range(sign, simsiam, byol):
    p1, p2, *_ = four()
    targets = sign * 7 * p2, sign * p1  # z1 answers p2, z2 answers p1
    assert simsiam_loss(p1, p2, *targets).numpy() == pytest.approx(simsiam)
    assert [x.numpy() for x in byol_loss(p1, p2, *targets)] == pytest.approx([byol, byol / 2])


def test_lengths_do_not_matter_down_to_the_shortest():
    p1, p2, z1, z2 = (x.astype("float32") for x in four())
    expected = simsiam_loss(p1, p2, z1, z2).numpy()
    for scale in (1e-7, 1e7):
        assert simsiam_loss(p1 * scale, p2, z1, z2 * scale).numpy() == pytest.approx(expected, rel=1e-5)
    # Below 1e-8 a vector is short of unit length: its cosine fades instead of dividing by zero.
    faint = negative_cosine(1e-9 * np.ones((1, 4), "float32"), np.ones((1, 4), "float32"))
    assert faint.numpy() == pytest.approx(-0.2, rel=1e-5)


def test_zero_vectors_have_no_direction_and_a_finite_gradient():
    loss, gradients = with_gradients(negative_cosine, np.zeros((3, 4), "float32"), np.ones((3, 4), "float32"))
    assert loss == 0.0
    assert np.isfinite(gradients[0]).all()


def test_half_precision_is_raised_first():
    views = [tf.cast(1000 * x, tf.float16) for x in four()]  # squares overflow float16
    assert simsiam_loss(*views).dtype == tf.float32
    exact = slow_simsiam(*(x.numpy().astype("float64") for x in views))
    assert simsiam_loss(*views).numpy() == pytest.approx(exact, rel=1e-5)
    assert byol_loss(*views)[0].dtype == tf.float32
