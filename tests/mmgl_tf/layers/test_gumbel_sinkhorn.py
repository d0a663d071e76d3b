import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.optimize import linear_sum_assignment

from mmgl_tf.layers.gumbel_sinkhorn import GumbelSinkhorn, gumbel_noise, row_error, sinkhorn


def slow_sinkhorn(logits, iterations):
    """Eq. 2 as printed, one matrix at a time."""
    result = np.exp(np.asarray(logits, np.float64))
    for index in np.ndindex(result.shape[:-2]):
        matrix = result[index]
        for _ in range(iterations):
            for i in range(len(matrix)):
                matrix[i] /= matrix[i].sum()
            for j in range(len(matrix)):
                matrix[:, j] /= matrix[:, j].sum()
    return result


@pytest.fixture
def random():
    return np.random.default_rng(3)


@pytest.mark.parametrize("iterations", [1, 2, 20])
def test_sinkhorn_equals_the_printed_recursion(random, iterations):
    logits = 3.0 * random.normal(size=(2, 5, 6, 6))
    np.testing.assert_allclose(sinkhorn(logits, iterations), slow_sinkhorn(logits, iterations), atol=1e-12)
    single = sinkhorn(logits.astype(np.float32), iterations)
    assert single.dtype == tf.float32
    np.testing.assert_allclose(single, slow_sinkhorn(logits, iterations), atol=2e-6)


def test_rows_first_columns_last_by_hand():
    # exp(X) = [[1, 3], [2, 2]]; rows -> [[1/4, 3/4], [1/2, 1/2]]; columns -> divided by 3/4 and 5/4.
    logits = np.log([[1.0, 3.0], [2.0, 2.0]])
    np.testing.assert_allclose(sinkhorn(logits, 1), [[1 / 3, 3 / 5], [2 / 3, 2 / 5]], atol=1e-15)


def test_columns_sum_to_one_and_rows_only_roughly(random):
    soft = sinkhorn((20.0 * random.normal(size=(500, 6, 6))).astype(np.float32), 20)
    np.testing.assert_allclose(np.sum(soft, axis=-2), 1.0, atol=2e-6)
    assert 0.2 < row_error(soft) < 5.0
    # The published magnitude: a standard deviation of 1 converges to about a percent.
    assert row_error(sinkhorn(random.normal(size=(500, 6, 6)), 20)) < 0.05


def test_row_error_is_the_largest_row_deviation():
    soft = tf.constant([[[0.5, 0.5], [0.5, 0.5]], [[0.9, 0.4], [0.1, 0.6]]])
    np.testing.assert_allclose(row_error(soft), 0.3, atol=1e-6)


@pytest.mark.parametrize("iterations", [1, 7])
def test_equivariance(random, iterations):
    logits = 2.0 * random.normal(size=(5, 5))
    left, right = np.eye(5)[random.permutation(5)], np.eye(5)[random.permutation(5)]
    np.testing.assert_allclose(
        sinkhorn(left @ logits @ right, iterations),
        left @ sinkhorn(logits, iterations).numpy() @ right,
        atol=1e-12,
    )


def test_row_shifts_never_matter_and_column_shifts_only_before_convergence(random):
    logits = random.normal(size=(6, 6))
    row_shift, column_shift = 5.0 * random.normal(size=(6, 1)), 5.0 * random.normal(size=(1, 6))
    np.testing.assert_allclose(sinkhorn(logits + row_shift, 1), sinkhorn(logits, 1), atol=1e-12)
    assert np.abs(sinkhorn(logits + column_shift, 1) - sinkhorn(logits, 1)).max() > 1e-2
    np.testing.assert_allclose(sinkhorn(logits + column_shift, 200), sinkhorn(logits, 200), atol=1e-10)


def test_low_temperature_gives_the_best_assignment(random):
    for _ in range(5):
        logits = random.normal(size=(4, 4))
        columns = linear_sum_assignment(logits, maximize=True)[1]
        np.testing.assert_allclose(sinkhorn(logits / 0.01, 300), np.eye(4)[columns], atol=0.05)


def test_confident_logits_come_back_as_the_permutation():
    truth = np.eye(6)[[2, 4, 1, 3, 0, 5]]
    np.testing.assert_allclose(sinkhorn(50.0 * truth, 20), truth, atol=1e-12)


def test_jacobian_against_central_differences(random):
    theoretical, numerical = tf.test.compute_gradient(
        lambda logits: sinkhorn(logits, 20), [random.normal(size=(2, 4, 4))], delta=1e-5
    )
    np.testing.assert_allclose(theoretical[0], numerical[0], atol=1e-6)
    assert np.abs(numerical[0]).max() > 1e-2


@pytest.mark.parametrize("scale", [1e2, 1e4, 1e30])
def test_extreme_logits_stay_finite(random, scale):
    logits = tf.constant(scale * random.normal(size=(20, 6, 6)), tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        soft = sinkhorn(logits, 20)
        loss = tf.reduce_sum(tf.square(soft - tf.eye(6)))
    assert np.isfinite(soft).all()
    assert np.isfinite(tape.gradient(loss, logits)).all()


def test_half_precision_is_raised_and_empty_batches_pass():
    assert sinkhorn(tf.zeros([1, 6, 6], tf.bfloat16), 2).dtype == tf.float32
    assert sinkhorn(tf.zeros([0, 6, 6]), 2).shape == (0, 6, 6)


def test_sinkhorn_rejects_what_it_cannot_do():
    with pytest.raises(ValueError, match="iterations=0"):
        sinkhorn(tf.zeros([6, 6]), 0)
    with pytest.raises(ValueError, match="square"):
        sinkhorn(tf.zeros([2, 6, 5]), 1)


def test_noise_is_standard_gumbel():
    noise = gumbel_noise([400_000], seed=[5, 6]).numpy()
    assert abs(noise.mean() - np.euler_gamma) < 0.01
    assert abs(noise.std() - np.pi / np.sqrt(6)) < 0.01
    # Distribution function exp(-exp(-x)) at 0 and 2: tells it from its mirror image and from a normal.
    assert abs((noise < 0.0).mean() - np.exp(-1.0)) < 0.005
    assert abs((noise < 2.0).mean() - np.exp(-np.exp(-2.0))) < 0.005
    assert noise.dtype == np.float32


@pytest.mark.parametrize(("bits", "noise"), [(0, -2.780), (2**32 - 1, 15.94), (2**22, 0.3665)])
def test_noise_is_bounded_where_the_uniform_draw_is_0_or_1(monkeypatch, bits, noise):
    drawn = tf.constant(bits, tf.uint32)
    monkeypatch.setattr(tf.random, "stateless_uniform", lambda shape, *_, **__: tf.fill(shape, drawn))
    np.testing.assert_allclose(gumbel_noise([2], seed=[0, 0]), noise, atol=0.01)


def test_noise_is_that_of_tensorflows_floats_and_the_same_under_xla():
    shape = [3, 7, 6, 6]
    for seed in ([1, 2], [2**30, -4]):
        seed = tf.constant(seed)
        uniform = tf.random.stateless_uniform(shape, seed=seed, alg="philox").numpy()
        noise = gumbel_noise(shape, seed).numpy()
        np.testing.assert_allclose(noise, -np.log(-np.log(uniform)), rtol=1e-5, atol=1e-5)
        # The seed is an argument: TensorFlow would fold a constant one before XLA sees it.
        compiled = tf.function(lambda seed: gumbel_noise(shape, seed), jit_compile=True, autograph=False)
        np.testing.assert_allclose(compiled(seed), noise, rtol=1e-5, atol=1e-5)


def test_noise_is_a_function_of_the_seed():
    np.testing.assert_array_equal(gumbel_noise([9], [1, 2]), gumbel_noise([9], [1, 2]))
    assert not np.any(gumbel_noise([9], [1, 2]) == gumbel_noise([9], [1, 3]))
    assert not np.any(gumbel_noise([9], [1, 2]) == gumbel_noise([9], [2, 2]))


def test_layer_adds_noise_before_the_temperature_divides(random):
    logits = random.normal(size=(3, 6, 6)).astype(np.float32)
    layer = GumbelSinkhorn(iterations=5, temperature=0.5, samples=4, noise_scale=0.7)
    soft = layer(logits, training=True, seed=[8, 9])
    noise = gumbel_noise([4, 3, 6, 6], [8, 9]).numpy()
    assert soft.shape == (4, 3, 6, 6)
    np.testing.assert_allclose(soft, slow_sinkhorn((logits + 0.7 * noise) / 0.5, 5), atol=1e-5)
    # The temperature divides in evaluation too.
    np.testing.assert_allclose(layer(logits, training=False), slow_sinkhorn(logits[None] / 0.5, 5), atol=1e-5)


def test_layer_draws_in_training_only(random):
    logits = random.normal(size=(2, 6, 6)).astype(np.float32)
    layer = GumbelSinkhorn()
    evaluated = layer(logits)
    assert evaluated.shape == (1, 2, 6, 6)
    np.testing.assert_array_equal(evaluated, layer(logits, training=False, seed=[1, 1]))
    drawn = layer(logits, training=True, seed=[1, 1]).numpy()
    assert drawn.shape == (10, 2, 6, 6)
    np.testing.assert_array_equal(drawn, layer(logits, training=True, seed=[1, 1]))
    assert len(np.unique(drawn[:, 0, 0, 0])) == 10
    same = layer(np.zeros((2, 6, 6), np.float32), training=True, seed=[1, 1]).numpy()
    assert np.abs(same[:, 0] - same[:, 1]).max() > 1e-3
    assert GumbelSinkhorn(noise_scale=0.0)(logits, training=True).shape == (1, 2, 6, 6)


def test_layer_errors():
    with pytest.raises(ValueError, match="seed=None"):
        GumbelSinkhorn()(np.zeros((1, 6, 6), np.float32), training=True)
    for wrong in ({"iterations": 0}, {"samples": 0}, {"temperature": 0.0}, {"noise_scale": -1.0}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            GumbelSinkhorn(**wrong)


def test_layer_is_float32_under_mixed_precision(random):
    logits = random.normal(size=(2, 6, 6)).astype(np.float32)
    expected = GumbelSinkhorn()(logits)
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        soft = GumbelSinkhorn()(logits)
    finally:
        keras.config.set_dtype_policy(before)
    assert soft.dtype == tf.float32
    np.testing.assert_array_equal(soft, expected)


def test_layer_config_round_trip():
    layer = GumbelSinkhorn(iterations=3, temperature=0.4, samples=2, noise_scale=0.5, name="soft")
    copy = GumbelSinkhorn.from_config(layer.get_config())
    logits = np.random.default_rng(0).normal(size=(2, 6, 6)).astype(np.float32)
    np.testing.assert_array_equal(
        copy(logits, training=True, seed=[1, 2]), layer(logits, training=True, seed=[1, 2])
    )
    assert copy.name == "soft"


@pytest.mark.parametrize("jit_compile", [False, True])
def test_graph_with_an_unknown_batch_size(random, jit_compile):
    layer = GumbelSinkhorn(iterations=2, samples=3)
    logits = random.normal(size=(4, 6, 6)).astype(np.float32)
    graph = tf.function(
        lambda x: layer(x, training=True, seed=[1, 2]),
        input_signature=[tf.TensorSpec([None, 6, 6])],
        jit_compile=jit_compile,
        autograph=False,
    )
    np.testing.assert_allclose(graph(logits), layer(logits, training=True, seed=[1, 2]), atol=1e-6)
