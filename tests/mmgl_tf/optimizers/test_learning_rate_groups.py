import numpy as np
import pytest
import tensorflow as tf

from mmgl_tf.optimizers import OPTIMIZERS
from mmgl_tf.optimizers.schedules import OffsetCosine
from mmgl_tf.optimizers.torch_sgd import TorchSGD
from tests.mmgl_tf.optimizers.trajectories import variable


def slow_trajectory(start, gradients, rates, momentum=0.9, decay=5e-4):
    """Path of one variable under Nesterov momentum in float64, one loop turn per step."""
    p, v, path = np.array(start, "float64"), 0.0, []
    for g, lr in zip(gradients, rates, strict=True):
        g = g + decay * p
        v = momentum * v + g
        p = p - lr * (g + momentum * v)
        path.append(p)
    return np.array(path)


PATHS = (
    "encoder/layer1/kernel",
    "encoder/layer10/gamma",
    "non_local_0/head/bias",
    "neck/gamma",
    "head/kernel",
)


def grouped():
    """Variables of a trunk, something beside it, and two heads, by path."""
    variables = [variable(path, [1.0, -2.0]) for path in PATHS]
    assert tuple(v.path for v in variables) == PATHS
    return variables


@pytest.mark.parametrize(
    ("multipliers", "factors"),
    [
        ({}, [1, 1, 1, 1, 1]),
        ({"encoder/": 0.1, "non_local_": 0.1}, [0.1, 0.1, 0.1, 1, 1]),
        ({"": 0.1, "neck/": 1, "head/": 1.0}, [0.1, 0.1, 0.1, 1, 1]),
        ({"encoder/layer1": 0.5, "encoder/layer1/": 3.0, "encoder/": 7.0}, [3, 0.5, 1, 1, 1]),
        ({"encoder/": 0.0, "neck/gamma": 2.0}, [0, 0, 1, 2, 1]),
    ],
)
@pytest.mark.parametrize("order", [1, -1])
def test_groups_are_made_by_name_and_the_longest_prefix_wins(multipliers, factors, order):
    optimizer = TorchSGD(1.0, 0.0, 0.0, learning_rate_multipliers=dict(list(multipliers.items())[::order]))
    variables = grouped()
    optimizer.build(variables)
    assert optimizer.factors == factors
    optimizer.apply([tf.ones(2)] * 5, variables)
    for own, factor in zip(variables, factors, strict=True):
        np.testing.assert_allclose(own.numpy(), [1 - factor, -2 - factor], rtol=1e-6)


@pytest.mark.parametrize("mode", ["eager", "graph", "jit"])
def test_a_group_follows_the_trajectory_of_its_own_rate(mode):
    random = np.random.RandomState(0)
    gradients, rates = random.randn(12, 2), 0.3 * random.rand(12)
    trunk, *_, head = grouped()
    optimizer = TorchSGD(1.0, 0.9, 5e-4, nesterov=True, learning_rate_multipliers={"encoder/": 0.1})
    optimizer.build([trunk, head])

    def step(gradient):
        optimizer.apply([gradient, gradient], [trunk, head])

    if mode != "eager":
        step = tf.function(step, jit_compile=mode == "jit", autograph=False)
    found = []
    for gradient, rate in zip(gradients, rates, strict=True):
        optimizer.learning_rate = rate
        step(tf.constant(gradient, tf.float32))
        found.append((trunk.numpy(), head.numpy()))
    found = np.array(found)
    np.testing.assert_allclose(found[:, 0], slow_trajectory((1, -2), gradients, 0.1 * rates), rtol=1e-5)
    np.testing.assert_allclose(found[:, 1], slow_trajectory((1, -2), gradients, rates), rtol=1e-5)


@pytest.mark.parametrize("nesterov", [False, True])
def test_groups_follow_pytorchs(nesterov):
    torch = pytest.importorskip("torch")
    random = np.random.RandomState(1)
    gradients, rates = random.randn(20, 5, 2).astype("float32"), 0.1 * random.rand(20)
    variables = grouped()
    optimizer = TorchSGD(
        0.1, 0.9, 0.01, nesterov, learning_rate_multipliers={"encoder/": 0.1, "non_local_": 0.1}
    )
    optimizer.build(variables)
    peers = [torch.tensor([1.0, -2.0], requires_grad=True) for _ in range(5)]
    groups = [{"params": peers[:3]}, {"params": peers[3:]}]
    peer = torch.optim.SGD(groups, lr=0.1, momentum=0.9, weight_decay=0.01, nesterov=nesterov)
    for gradient, rate in zip(gradients, rates, strict=True):
        optimizer.learning_rate = rate
        optimizer.apply(list(tf.constant(gradient)), variables)
        peer.param_groups[0]["lr"], peer.param_groups[1]["lr"] = 0.1 * rate, rate
        for tensor, own in zip(peers, gradient, strict=True):
            tensor.grad = torch.tensor(own)
        peer.step()
    for own, tensor in zip(variables, peers, strict=True):
        np.testing.assert_allclose(own.numpy(), tensor.detach().numpy(), rtol=1e-5, atol=1e-6)


def test_a_factor_acts_on_the_rate_alone():
    trunk, *_, head = grouped()
    optimizer = TorchSGD(0.3, 0.9, 0.1, learning_rate_multipliers={"encoder/": 0.01})
    optimizer.build([trunk, head])
    optimizer.apply([tf.ones(2), tf.ones(2)], [trunk, head])
    for velocity in optimizer.velocities:
        np.testing.assert_allclose(velocity.numpy(), [1 + 0.1 * 1, 1 + 0.1 * -2], rtol=1e-6)


def test_prefixes_that_no_variable_has_are_named():
    optimizer = TorchSGD(0.1, learning_rate_multipliers={"encoder/": 0.1, "trunk/": 0.1, "ncoder": 0.2})
    with pytest.raises(
        ValueError, match=r"'trunk/', 'ncoder', which no .* of encoder/layer1, encoder/layer10, h"
    ):
        optimizer.build(grouped())


@pytest.mark.parametrize("factor", [-0.1, float("nan"), float("inf")])
def test_a_factor_is_a_finite_number(factor):
    with pytest.raises(ValueError, match=rf"{factor} for 'encoder/'; expected a finite number of at least 0"):
        TorchSGD(learning_rate_multipliers={"encoder/": factor})


@pytest.mark.parametrize("optimizer", OPTIMIZERS.values())
def test_a_fixed_rate_is_the_peak_at_every_step(optimizer):
    """And its multiplier's; the others follow the schedule."""
    schedule = OffsetCosine(0.5, 2, 6, 1)
    settings = {"weight_decay": 0.0, "learning_rate_multipliers": {"neck/": 0.1}}
    scheduled = optimizer(schedule, fixed_rates=["neck/", "head/"], **settings)
    constant = optimizer(0.5, **settings)
    moving, still = grouped(), grouped()
    scheduled.build(moving), constant.build(still)
    for _ in range(6):
        for one, variables in ((scheduled, moving), (constant, still)):
            one.apply([tf.constant([0.3, -0.1])] * 5, variables)
    same = [np.array_equal(one.numpy(), other.numpy()) for one, other in zip(moving, still, strict=True)]
    assert same == [False, False, False, True, True]
    assert not np.allclose(moving[3].numpy(), moving[4].numpy())


def test_a_fixed_rate_needs_a_peak():
    with pytest.raises(
        ValueError, match=r"fixed_rates=\('head/',\) and a function without a `peak`; expected"
    ):
        TorchSGD(lambda: 0.1, fixed_rates=["head/"])
    with pytest.raises(ValueError, match=r"fixed_rates='head/'; expected beginnings of paths"):
        TorchSGD(0.1, fixed_rates="head/")
    with pytest.raises(ValueError, match="got fixed_rates for 'tail/', which no variable's path begins with"):
        TorchSGD(0.1, fixed_rates=["tail/"]).build(grouped())


def test_prefixes_that_are_not_decayed():
    optimizer, variables = TorchSGD(1.0, 0.0, 0.25, undecayed=["encoder/layer1/", "head/"]), grouped()
    optimizer.build(variables)
    optimizer.apply([tf.zeros(2)] * 5, variables)
    shares = [own.numpy()[0] for own in variables]
    np.testing.assert_allclose(shares, [1, 0.75, 0.75, 0.75, 1])
    assert optimizer.decays == [0, 0.25, 0.25, 0.25, 0]
    with pytest.raises(ValueError, match="got undecayed for 'tail/', which no variable's path begins with"):
        TorchSGD(0.1, undecayed=["tail/"]).build(grouped())


@pytest.mark.parametrize("optimizer", OPTIMIZERS.values())
def test_vectors_are_told_by_their_axes(optimizer):
    variables = [variable("a/kernel", [[1.0]]), variable("b/scale", 1.0), variable("c/gamma", [1.0])]
    found = optimizer(0.1, vector_multiplier=0.5, learning_rate_multipliers={"c/": 0.1})
    found.build(variables)
    assert found.factors == [1.0, 0.5, 0.05]
    with pytest.raises(ValueError, match="multiplier -1 for 'vectors'"):
        optimizer(0.1, vector_multiplier=-1)


@pytest.mark.parametrize("mode", ["eager", "graph"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS.values())
def test_a_factor_of_one_step_scales_its_rate_and_0_freezes(optimizer, mode):
    """A frozen variable ends where one does that never had the step; the others as without a factor."""
    given = [tf.constant([0.3, -0.1]), tf.constant([-0.2, 0.4]), tf.constant([0.1, 0.1])]

    def end(gradients, factors):
        own, variables = optimizer(0.1, weight_decay=0.1, dynamic_loss_scale=True), grouped()
        own.build(variables)

        def step(gradient, factor):
            rates = {"": 1.0, "head/": factor}
            return own.apply([gradient * own.loss_scale.scale] * 5, variables, rates)

        if mode == "graph":
            step = tf.function(step, autograph=False)
        for gradient, factor in zip(gradients, factors, strict=True):
            assert bool(step(gradient, tf.constant(factor)))
        return [v.numpy() for v in variables]

    frozen, without, plain = end(given, [1.0, 0.0, 1.0]), end(given[::2], [1.0, 1.0]), end(given, [1.0] * 3)
    np.testing.assert_allclose(frozen[4], without[4], rtol=1e-6)
    np.testing.assert_array_equal(frozen[:4], plain[:4])
    slow = end(given[:1], [0.25])
    start = np.array([1.0, -2.0], np.float32)
    np.testing.assert_allclose(slow[4] - start, 0.25 * (end(given[:1], [1.0])[4] - start), rtol=1e-4)


def test_factors_of_a_step_name_variables_that_there_are():
    optimizer, variables = TorchSGD(0.1), grouped()
    optimizer.build(variables)
    with pytest.raises(
        ValueError, match="got rate_factors for 'tail/', which no variable's path begins with"
    ):
        optimizer.apply([tf.zeros(2)] * 5, variables, {"tail/": 0.0})
