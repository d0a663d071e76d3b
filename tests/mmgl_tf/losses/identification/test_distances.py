import numpy as np
import pytest
import tensorflow as tf

from mmgl_tf.losses.identification.distances import pairwise_distances


def slow_distances(x, y):
    return np.array([[np.sqrt(max(sum((a - b) ** 2), 1e-12)) for b in y] for a in x])


def drawn(rows, size=7, seed=0, scale=1.0):
    return scale * np.random.RandomState(seed).randn(rows, size)


@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_distances_follow_the_slow_version(dtype, jit):
    x, y = drawn(5).astype(dtype), drawn(3, seed=1).astype(dtype)
    distances = tf.function(pairwise_distances, jit_compile=jit, autograph=False)
    found = distances(tf.constant(x), tf.constant(y))
    assert found.dtype == dtype
    assert found.shape == (5, 3)
    expected = slow_distances(x.astype("float64"), y.astype("float64"))
    np.testing.assert_allclose(found, expected, rtol=1e-6 if dtype == "float32" else 1e-12)
    np.testing.assert_allclose(distances(tf.constant(x)), pairwise_distances(x, x), rtol=1e-6)


def test_the_root_has_the_unit_of_the_features():
    assert pairwise_distances([[0.0, 0.0]], [[3.0, 4.0]]).numpy() == [[5.0]]
    x, y = drawn(4), drawn(4, seed=1)
    np.testing.assert_allclose(pairwise_distances(10 * x, 10 * y), 10 * pairwise_distances(x, y), rtol=1e-12)


def test_close_pairs_far_from_the_origin_keep_their_digits():
    # float32 squares of 2048-d features of length 4500 leave a distance of 0.1 no digit at all.
    x = 100 + np.random.RandomState(0).randn(3, 2048).astype("float32")
    y = x + np.float32(0.0078125)
    found = np.diag(pairwise_distances(x, y))
    np.testing.assert_allclose(found, np.sqrt(((x.astype("float64") - y) ** 2).sum(axis=1)), rtol=1e-5)


def test_half_precision_is_raised_first():
    x = tf.constant(drawn(4, scale=300.0), tf.float16)  # squares beyond float16's 65504
    found = pairwise_distances(x)
    assert found.dtype == tf.float32
    np.testing.assert_allclose(found, slow_distances(*2 * [x.numpy().astype("float64")]), rtol=1e-6)


@pytest.mark.parametrize("scale", [0.0, 3.0, 1000.0])
@pytest.mark.parametrize("seed", range(3))
def test_equal_rows_are_a_millionth_apart_and_have_no_gradient(scale, seed):
    x = tf.Variable(np.repeat(drawn(1, 2048, seed, scale), 4, axis=0).astype("float32"))
    with tf.GradientTape() as tape:
        distances = pairwise_distances(x)
    np.testing.assert_allclose(distances, np.full((4, 4), 1e-6), rtol=1e-6)
    np.testing.assert_array_equal(tape.gradient(distances, x), np.zeros((4, 2048)))


def test_the_gradient_is_the_direction():
    x = tf.Variable([[0.0, 0.0]])
    with tf.GradientTape() as tape:
        distance = pairwise_distances(x, [[3.0, 4.0]])
    np.testing.assert_allclose(tape.gradient(distance, x), [[-0.6, -0.8]], rtol=1e-6)


def test_vectors_a_few_float32_roundings_apart_are_told_apart():
    x = (1.5 + np.random.RandomState(0).rand(1, 2048) / 4).astype("float32")
    y = x + 16 * np.spacing(x)
    expected = np.sqrt(((x.astype("float64") - y) ** 2).sum())
    assert pairwise_distances(x, y).numpy()[0, 0] == pytest.approx(expected, rel=0.02)
