import numpy as np
import pytest
import tensorflow as tf

from mmgl_tf.layers.gates.binary_concrete import binary_concrete
from mmgl_tf.layers.seeded_uniform import seeded_uniform

SEED = tf.constant([1, 2])
LOGITS = np.random.RandomState(0).randn(4, 6)


def slow_soft(logits, temperature):
    u = seeded_uniform(logits.shape, SEED).numpy().astype("float64")
    return 1 / (1 + np.exp(-(logits + np.log(u) - np.log(1 - u)) / temperature))


@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_values_are_hard_and_gradients_those_of_the_soft_gate(temperature):
    logits = tf.Variable(LOGITS)
    weights = np.random.RandomState(1).randn(4, 6)
    with tf.GradientTape() as tape:
        gates = binary_concrete(logits, temperature, training=True, seed=SEED)
        total = tf.reduce_sum(gates * weights)
    soft = slow_soft(LOGITS, temperature)
    np.testing.assert_array_equal(gates, soft > 0.5)
    assert 0 < np.mean(gates) < 1
    expected = (
        weights * (slow_soft(LOGITS + 1e-6, temperature) - slow_soft(LOGITS - 1e-6, temperature)) / 2e-6
    )
    np.testing.assert_allclose(tape.gradient(total, logits), expected, atol=1e-8)


@pytest.mark.parametrize("logit", [-1.0, 0.0, 3.0])
@pytest.mark.parametrize("temperature", [1.0, 0.3])
def test_a_gate_opens_as_often_as_its_logit_says(logit, temperature):
    gates = binary_concrete(tf.fill([100_000], logit), temperature, training=True, seed=SEED)
    assert gates.numpy().mean() == pytest.approx(1 / (1 + np.exp(-logit)), abs=0.006)
    assert set(np.unique(gates)) == {0.0, 1.0}


def test_evaluation_draws_nothing_and_has_no_gradient():
    logits = tf.Variable([-2.0, -1e-6, 0.0, 1e-6, 2.0])
    with tf.GradientTape() as tape:
        gates = binary_concrete(logits)
    np.testing.assert_array_equal(gates, [0, 0, 0, 1, 1])
    assert tape.gradient(gates, logits) is None


@pytest.mark.parametrize("drawn", [0.0, 1 - 2**-23])
def test_noise_is_bounded_and_gradients_finite(monkeypatch, drawn):
    monkeypatch.setattr(
        "mmgl_tf.layers.gates.binary_concrete.seeded_uniform", lambda shape, seed: tf.fill(shape, drawn)
    )
    logits = tf.Variable([-1e4, -3.0, 0.0, 3.0, 1e4])
    with tf.GradientTape() as tape:
        gates = binary_concrete(logits, 0.1, training=True, seed=SEED)
    assert np.isfinite(gates).all()
    assert np.isfinite(tape.gradient(gates, logits)).all()


def test_half_precision_is_raised_and_bad_arguments_refused():
    gates = binary_concrete(tf.cast(LOGITS, tf.float16), training=True, seed=SEED)
    assert gates.dtype == tf.float32
    with pytest.raises(ValueError, match="seed=None in training"):
        binary_concrete(LOGITS, training=True)
    with pytest.raises(ValueError, match=r"temperature=0\.0; expected a positive number"):
        binary_concrete(LOGITS, 0.0, training=True, seed=SEED)
