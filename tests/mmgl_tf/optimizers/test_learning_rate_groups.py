import contextlib

import keras
import numpy as np
import pytest
import tensorflow as tf

from mmgl_tf.optimizers.torch_sgd import TorchSGD


def slow_trajectory(start, gradients, rates, momentum=0.9, decay=5e-4):
    """Path of one variable under Nesterov momentum in float64, one loop turn per step."""
    p, v, path = np.array(start, "float64"), 0.0, []
    for g, lr in zip(gradients, rates, strict=True):
        g = g + decay * p
        v = momentum * v + g
        p = p - lr * (g + momentum * v)
        path.append(p)
    return np.array(path)


def grouped():
    """Variables of a trunk, something beside it, and two heads, by path."""
    paths = (
        "encoder/layer1/kernel",
        "encoder/layer10/gamma",
        "non_local_0/head/bias",
        "neck/gamma",
        "head/kernel",
    )
    variables = []
    for path in paths:
        *layers, leaf = path.split("/")
        with contextlib.ExitStack() as scopes:
            for layer in layers:
                scopes.enter_context(keras.name_scope(layer))
            variables.append(keras.Variable([1.0, -2.0], name=leaf))
    assert tuple(v.path for v in variables) == paths
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
    for variable, factor in zip(variables, factors, strict=True):
        np.testing.assert_allclose(variable.numpy(), [1 - factor, -2 - factor], rtol=1e-6)


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
        step = tf.function(step, jit_compile=mode == "jit")
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
    for variable, tensor in zip(variables, peers, strict=True):
        np.testing.assert_allclose(variable.numpy(), tensor.detach().numpy(), rtol=1e-5, atol=1e-6)


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
