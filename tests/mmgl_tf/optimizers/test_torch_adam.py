import keras
import numpy as np
import pytest
import tensorflow as tf

from mmgl_tf.optimizers.torch_adam import TorchAdam
from tests.mmgl_tf.optimizers.trajectories import paths_of, variable

# Computed by PyTorch: p0 = (1, -2), weight decay 5e-4.
GRADIENTS = [(0.5, 0.25), (-0.3, 0.7), (0.2, -0.1), (1e-9, 0.4)]
RATES = (0.1, 0.1, 0.01, 0.001)
GOLDEN = [
    (0.900000002, -2.099999996),
    (0.880741816, -2.192578711),
    (0.877256436, -2.198806582),
    (0.876970522, -2.199530169),
]


def slow_adam(start, gradients, rates, betas, epsilon, decay):
    """Trajectory of one variable in float64, one loop turn a step."""
    p, m, v, path = np.array(start, "float64"), 0.0, 0.0, []
    for t, (g, lr) in enumerate(zip(gradients, rates, strict=True), start=1):
        g = np.array(g) + decay * p
        m = betas[0] * m + (1 - betas[0]) * g
        v = betas[1] * v + (1 - betas[1]) * g**2
        p = p - lr * (m / (1 - betas[0] ** t)) / (np.sqrt(v / (1 - betas[1] ** t)) + epsilon)
        path.append(p)
    return np.array(path)


@pytest.mark.parametrize("mode", ["eager", "graph", "jit"])
def test_pytorchs_golden_numbers(mode):
    gradients = [[g] for g in GRADIENTS]
    found = paths_of(TorchAdam(weight_decay=5e-4), {"kernel": (1, -2)}, gradients, RATES, mode)
    np.testing.assert_allclose(np.squeeze(found, 1), GOLDEN, rtol=3e-7)
    slow = slow_adam((1, -2), GRADIENTS, RATES, (0.9, 0.999), 1e-8, 5e-4)
    np.testing.assert_allclose(slow, GOLDEN, rtol=1e-9)


@pytest.mark.parametrize(("betas", "epsilon"), [((0.9, 0.99), 1e-8), ((0.0, 0.5), 0.1), ((0.5, 0.0), 1e-3)])
@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_any_setting_follows_the_slow_version(betas, epsilon, decay):
    dice = np.random.default_rng(0)
    start, gradients, rates = (
        dice.standard_normal((3, 2)),
        dice.standard_normal((12, 3, 2)),
        0.2 * dice.random(12),
    )
    optimizer = TorchAdam(0.1, betas, epsilon, decay)
    found = paths_of(optimizer, {"kernel": start}, [[g] for g in gradients], rates)
    expected = slow_adam(start, gradients, rates, betas, epsilon, decay)
    np.testing.assert_allclose(np.squeeze(found, 1), expected, rtol=1e-5, atol=1e-6)


def test_epsilon_stands_beside_the_corrected_root():
    """A gradient far below Keras' epsilon still takes a whole step of the learning rate."""
    found = paths_of(TorchAdam(), {"kernel": [0.0]}, [[[1e-6]]], [0.1])
    np.testing.assert_allclose(np.ravel(found), -0.1 * 1e-6 / (1e-6 + 1e-8), rtol=1e-5)


def test_a_skipped_step_is_no_update():
    """Neither moments nor their correction know of it."""
    good = [(0.5, 0.25), (-0.3, 0.7)]
    optimizer, weight = TorchAdam(0.1, dynamic_loss_scale=True), variable("kernel", (1, -2))
    optimizer.build([weight])
    for gradient in ((np.inf, 0.0), good[0], (np.nan, 1.0), good[1]):
        optimizer.apply([tf.constant(gradient, tf.float32) * optimizer.loss_scale.scale], [weight])
    expected = slow_adam((1, -2), good, (0.1, 0.1), (0.9, 0.999), 1e-8, 0.0)[-1]
    np.testing.assert_allclose(weight.numpy(), expected, rtol=1e-6)
    assert int(optimizer.iterations) == 4 and float(optimizer.updates[0]) == 2


def test_a_thawed_variable_starts_as_a_new_one_would():
    optimizer, frozen, free = TorchAdam(0.1), variable("prototypes", (1, -2)), variable("kernel", (1, -2))
    optimizer.build([frozen, free])
    gradients = [(0.5, 0.25), (-0.3, 0.7), (0.2, -0.1)]
    for number, gradient in enumerate(gradients):
        optimizer.apply([tf.constant(gradient)] * 2, [frozen, free], {"prototypes": float(number > 0)})
    slow = [
        slow_adam((1, -2), some, [0.1] * len(some), (0.9, 0.999), 1e-8, 0.0)[-1]
        for some in (gradients[1:], gradients)
    ]
    np.testing.assert_allclose([frozen.numpy(), free.numpy()], slow, rtol=1e-6)


def test_config_rebuilds_the_optimizer():
    optimizer = TorchAdam(3e-4, (0.9, 0.99), 1e-7, 1e-3, undecayed=["head/"], vector_multiplier=0.5)
    again = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert again.get_config() == optimizer.get_config()
    assert (again.betas, again.epsilon, again.coupled_weight_decay) == ((0.9, 0.99), 1e-7, 1e-3)


def test_bad_arguments_say_what_was_expected():
    with pytest.raises(ValueError, match=r"betas=\(0\.9, 1\.0\); expected two numbers of at least 0"):
        TorchAdam(betas=(0.9, 1.0))
    with pytest.raises(ValueError, match="epsilon=0; expected a positive number"):
        TorchAdam(epsilon=0)
