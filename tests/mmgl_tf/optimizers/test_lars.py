import keras
import numpy as np
import pytest
import tensorflow as tf

from mmgl_tf.optimizers.lars import Lars
from tests.mmgl_tf.optimizers.trajectories import paths_of, variable

# Computed by Barlow Twins' form of it: trust 0.01, weight decay 0.1.
STARTS = {"kernel": [[1, 2], [3, 4]], "bias": (1, -1)}
GRADIENTS = [([[0.5, 0], [0, 0.5]], (0.2, 0.1)), ([[0, -0.5], [0.25, 0]], (0.1, 0.1))]
RATES = (1.0, 0.5)
GOLDEN = [
    ([[0.971176932, 1.990392311], [2.985588466, 3.956765398]], (0.8, -1.1)),
    ([[0.954675735, 1.997010599], [2.959159837, 3.922924587]], (0.66, -1.195)),
]


def slow_lars(start, gradients, rates, momentum, decay, trust, form="barlow", adapt_vectors=False):
    """Trajectory of one variable in float64, one loop turn a step."""
    p, path = np.array(start, "float64"), []
    v = np.zeros_like(p)
    for g, lr in zip(gradients, rates, strict=True):
        g = np.array(g, "float64")
        if p.ndim > 1 or adapt_vectors:
            below = np.linalg.norm(g + decay * p)
            norms = np.linalg.norm(p), below
            if form == "larc":
                norms = np.linalg.norm(p), np.linalg.norm(g)
                below = norms[1] + decay * norms[0] + 1e-8
            if min(norms) > 0:
                g = trust * norms[0] / below * (g + decay * p)
            elif form == "barlow":
                g = g + decay * p
        v = momentum * v + g
        p = p - lr * v
        path.append(p)
    return path


@pytest.mark.parametrize("mode", ["eager", "graph", "jit"])
def test_barlows_golden_numbers(mode):
    found = paths_of(Lars(trust=0.01, weight_decay=0.1), STARTS, GRADIENTS, RATES, mode)
    for step, expected in zip(found, GOLDEN, strict=True):
        for one, other in zip(step, expected, strict=True):
            np.testing.assert_allclose(one, other, rtol=3e-7)
    for index, start in enumerate(STARTS.values()):
        slow = slow_lars(start, [g[index] for g in GRADIENTS], RATES, 0.9, 0.1, 0.01)
        for one, other in zip(slow, [g[index] for g in GOLDEN], strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-8)


@pytest.mark.parametrize("form", ["barlow", "larc"])
@pytest.mark.parametrize("adapt_vectors", [False, True])
@pytest.mark.parametrize(("momentum", "decay"), [(0.9, 0.1), (0.5, 0.0), (0.0, 1e-3)])
def test_any_setting_follows_the_slow_version(form, adapt_vectors, momentum, decay):
    dice = np.random.default_rng(0)
    starts = {"kernel": dice.standard_normal((3, 3, 2, 4)), "gamma": dice.standard_normal(5), "scale": 0.7}
    gradients = [[dice.standard_normal(np.shape(v)) for v in starts.values()] for _ in range(10)]
    rates = 2.0 * dice.random(10)
    optimizer = Lars(0.1, momentum, decay, 0.02, form, adapt_vectors)
    found = paths_of(optimizer, starts, gradients, rates)
    for index, start in enumerate(starts.values()):
        own = [g[index] for g in gradients]
        slow = slow_lars(start, own, rates, momentum, decay, 0.02, form, adapt_vectors)
        np.testing.assert_allclose([step[index] for step in found], slow, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("form", ["barlow", "larc"])
@pytest.mark.parametrize(("start", "gradient"), [(0.0, 0.5), (2.0, 0.0), (0.0, 0.0)])
def test_a_norm_of_0_adapts_nothing(form, start, gradient):
    starts, gradients = np.full((2, 2), start), np.full((3, 2, 2), gradient)
    gradients[1:] = 0.25
    found = paths_of(Lars(form=form, weight_decay=0.1), {"kernel": starts}, gradients[:, None], [0.1] * 3)
    slow = slow_lars(starts, gradients, [0.1] * 3, 0.9, 0.1, 0.001, form)
    np.testing.assert_allclose(np.squeeze(found, 1), slow, rtol=1e-5, atol=1e-8)


def test_the_step_does_not_depend_on_the_scale_of_the_gradient():
    ends = [
        paths_of(Lars(0.5, weight_decay=0.0), {"kernel": [[1.0, 2.0]]}, [[[[0.3 * s, -0.1 * s]]]], [0.5])
        for s in (1.0, 1000.0)
    ]
    np.testing.assert_allclose(*ends, rtol=1e-6)


def test_vectors_have_a_rate_of_their_own():
    """Barlow Twins': 0.0048 for biases and norms beside 0.2 for weights."""
    optimizer = Lars(trust=0.01, weight_decay=0.1, vector_multiplier=0.024)
    found = paths_of(optimizer, STARTS, GRADIENTS, RATES)
    np.testing.assert_allclose(found[1][0], GOLDEN[1][0], rtol=3e-7)
    slow = slow_lars((1, -1), [g[1] for g in GRADIENTS], [0.024 * rate for rate in RATES], 0.9, 0.1, 0.01)
    np.testing.assert_allclose(found[1][1], slow[1], rtol=1e-6)


def test_a_skipped_step_changes_nothing():
    optimizer = Lars(1.0, trust=0.01, weight_decay=0.1, dynamic_loss_scale=True)
    variables = [variable(path, value) for path, value in STARTS.items()]
    optimizer.build(variables)
    overflow = ([[np.inf, 0], [0, 0]], (0.2, 0.1))
    for given, rate in ((GRADIENTS[0], 1.0), (overflow, 1.0), (GRADIENTS[1], 0.5)):
        optimizer.learning_rate = rate
        scale = optimizer.loss_scale.scale
        taken = optimizer.apply([tf.constant(g, tf.float32) * scale for g in given], variables)
        assert bool(taken) == (given is not overflow)
    for one, other in zip(variables, GOLDEN[1], strict=True):
        np.testing.assert_allclose(one.numpy(), other, rtol=3e-7)


def test_config_rebuilds_the_optimizer():
    optimizer = Lars(0.3, 0.8, 1e-4, 0.002, "larc", True, undecayed=["head/"], global_clipnorm=2.0)
    again = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert again.get_config() == optimizer.get_config()
    assert (again.trust, again.form, again.adapt_vectors, again.momentum) == (0.002, "larc", True, 0.8)


def test_bad_arguments_say_what_was_expected():
    with pytest.raises(ValueError, match="trust=0; expected a positive number"):
        Lars(trust=0)
    with pytest.raises(ValueError, match="form='swav'; expected one of barlow, larc"):
        Lars(form="swav")
    with pytest.raises(ValueError, match=r"Lars got momentum=1\.0"):
        Lars(momentum=1.0)
