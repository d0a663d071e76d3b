import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from mmgl_tf.optimizers.schedules import OffsetCosine
from mmgl_tf.optimizers.torch_sgd import TorchSGD

# Two variables, four steps with changing rates, computed by PyTorch in float32: p0 = (1, -2), weight decay
# 5e-4, momentum 0.9, Nesterov.
GRADIENTS = np.array([(0.5, 0.25), (-0.3, 0.7), (0.2, -0.1), (0.4, 0.4)])
RATES = (0.1, 0.1, 0.01, 0.001)
NESTEROV_GOLDEN = np.array(
    [
        (0.904905021, -2.047310114),
        (0.921278536, -2.200284719),
        (0.916247487, -2.205840826),
        (0.915214241, -2.207189798),
    ]
)


def slow_sgd(start, gradients, rates, momentum, decay, nesterov):
    """Trajectory of one variable in float64, one loop turn per step."""
    p, v, path = np.array(start, "float64"), 0.0, []
    for g, lr in zip(gradients, rates, strict=True):
        g = g + decay * p
        v = momentum * v + g
        p = p - lr * (g + momentum * v if nesterov else v)
        path.append(p)
    return np.array(path)


def run(optimizer, start, gradients, rates, mode="eager"):
    variable = keras.Variable(np.array(start, "float32"), name="kernel")
    optimizer.build([variable])

    def step(gradient):
        optimizer.apply([gradient], [variable])

    if mode != "eager":
        step = tf.function(step, jit_compile=mode == "jit", autograph=False)
    path = []
    for gradient, rate in zip(gradients, rates, strict=True):
        optimizer.learning_rate = rate
        step(tf.constant(gradient, tf.float32))
        path.append(variable.numpy())
    return np.array(path)


@pytest.mark.parametrize("mode", ["eager", "graph", "jit"])
def test_nesterov_follows_pytorchs_golden_numbers(mode):
    found = run(TorchSGD(momentum=0.9, weight_decay=5e-4, nesterov=True), (1, -2), GRADIENTS, RATES, mode)
    np.testing.assert_allclose(found, NESTEROV_GOLDEN, rtol=3e-7)
    np.testing.assert_allclose(
        slow_sgd((1, -2), GRADIENTS, RATES, 0.9, 5e-4, True), NESTEROV_GOLDEN, rtol=3e-7
    )


@pytest.mark.parametrize("mode", ["eager", "graph", "jit"])
@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize(("momentum", "decay"), [(0.9, 5e-4), (0.5, 0.1), (0.0, 0.1), (0.9, 0.0)])
def test_any_setting_follows_the_slow_version(nesterov, momentum, decay, mode):
    random = np.random.RandomState(0)
    start, gradients, rates = random.randn(3, 2), random.randn(12, 3, 2), 0.2 * random.rand(12)
    found = run(TorchSGD(0.1, momentum, decay, nesterov), start, gradients, rates, mode)
    expected = slow_sgd(start, gradients, rates, momentum, decay, nesterov)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("nesterov", [False, True])
def test_any_setting_follows_pytorch(nesterov):
    torch = pytest.importorskip("torch")
    random = np.random.RandomState(1)
    start, gradients, rates = random.randn(4), random.randn(20, 4), 0.1 * random.rand(20)
    peer = torch.tensor(start, dtype=torch.float32, requires_grad=True)
    optimizer = torch.optim.SGD([peer], lr=0.1, momentum=0.9, weight_decay=0.01, nesterov=nesterov)
    path = []
    for gradient, rate in zip(gradients, rates, strict=True):
        optimizer.param_groups[0]["lr"] = rate
        peer.grad = torch.tensor(gradient, dtype=torch.float32)
        optimizer.step()
        path.append(peer.detach().numpy().copy())
    found = run(TorchSGD(0.1, 0.9, 0.01, nesterov), start, gradients, rates)
    np.testing.assert_allclose(found, path, rtol=1e-5, atol=1e-6)


def test_a_schedule_sets_the_rate_of_each_step():
    schedule = OffsetCosine(0.5, 1, 4, 5)
    optimizer = TorchSGD(schedule, momentum=0.9, weight_decay=0.0)
    variable = keras.Variable([1.0], name="kernel")
    optimizer.build([variable])
    for _ in range(20):
        optimizer.apply([tf.constant([0.3])], [variable])
    rates = [float(schedule(step)) for step in range(20)]
    expected = slow_sgd([1.0], np.full((20, 1), 0.3), rates, 0.9, 0.0, False)[-1]
    np.testing.assert_allclose(variable.numpy(), expected, rtol=1e-5)


def named(*names):
    return [keras.Variable([2.0], name=name) for name in names]


def test_everything_decays_unless_told_otherwise():
    variables = named("kernel", "gamma", "beta", "bias")
    optimizer = TorchSGD(1.0, momentum=0.0, weight_decay=0.1)
    optimizer.build(variables)
    optimizer.apply([tf.zeros(1)] * 4, variables)
    np.testing.assert_allclose([v.numpy()[0] for v in variables], [1.8] * 4)


@pytest.mark.parametrize(
    ("spared", "after"),
    [
        (("norms",), [1.8, 2.0, 2.0, 1.8, 1.8]),
        (("biases",), [1.8, 1.8, 1.8, 2.0, 1.8]),
        (("norms", "biases"), [1.8, 2.0, 2.0, 2.0, 1.8]),
    ],
)
def test_norms_and_biases_are_spared_on_request(spared, after):
    variables = named("kernel", "gamma", "beta", "bias", "bias_kernel")
    kept = {f"decay_{kind}": False for kind in spared}
    optimizer = TorchSGD(1.0, momentum=0.0, weight_decay=0.1, **kept)
    optimizer.build(variables)
    optimizer.apply([tf.zeros(1)] * 5, variables)
    np.testing.assert_allclose([v.numpy()[0] for v in variables], after)


def test_variables_without_a_gradient_are_left_alone():
    moved, still = named("kernel", "unused")
    optimizer = TorchSGD(1.0, weight_decay=0.1)
    optimizer.build([moved, still])
    with pytest.warns(UserWarning, match="Gradients do not exist"):  # Keras' own warning
        optimizer.apply([tf.ones(1), None], [moved, still])
    assert moved.numpy() != 2.0
    assert still.numpy() == 2.0


def test_clipping_by_the_global_norm_comes_before_the_decay():
    variables = named("a", "b")
    optimizer = TorchSGD(1.0, momentum=0.0, weight_decay=0.1, global_clipnorm=1.0)
    optimizer.build(variables)
    optimizer.apply([tf.constant([3.0]), tf.constant([4.0])], variables)
    np.testing.assert_allclose([v.numpy()[0] for v in variables], [2 - 0.6 - 0.2, 2 - 0.8 - 0.2], rtol=1e-6)


def small_model(optimizer, jit_compile=False):
    inputs = keras.Input((3,))
    hidden = keras.layers.Dense(4, activation="tanh", name="hidden")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(1, name="last")(hidden))
    for i, variable in enumerate(model.trainable_variables):
        variable.assign(np.random.RandomState(i).randn(*variable.shape))
    model.compile(optimizer=optimizer, loss="mse", jit_compile=jit_compile)
    return model


def drawn_data():
    random = np.random.RandomState(9)
    return random.randn(16, 3).astype("float32"), random.randn(16, 1).astype("float32")


@pytest.mark.parametrize("jit_compile", [False, True])
def test_fit_takes_the_steps_that_the_gradients_say(jit_compile):
    x, y = drawn_data()
    model = small_model(TorchSGD(0.05, weight_decay=0.01), jit_compile)
    model.fit(x, y, batch_size=16, epochs=4, shuffle=False, verbose=0)
    peer = small_model(keras.optimizers.SGD(0.0))
    velocities = [0.0] * 4
    for _ in range(4):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((peer(x) - y) ** 2)
        gradients = tape.gradient(loss, [v.value for v in peer.trainable_variables])
        for i, (gradient, variable) in enumerate(zip(gradients, peer.trainable_variables, strict=True)):
            velocities[i] = 0.9 * velocities[i] + gradient.numpy() + 0.01 * variable.numpy()
            variable.assign(variable.numpy() - 0.05 * velocities[i])
    for one, other in zip(model.get_weights(), peer.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("multipliers", [False, True])
def test_state_survives_saving_bit_for_bit(tmp_path, multipliers):
    x, y = drawn_data()

    def model_of():
        slow = {"hidden/": 0.5} if multipliers else None
        schedule = OffsetCosine(0.1, 1, 6, 1)
        return small_model(TorchSGD(schedule, nesterov=True, learning_rate_multipliers=slow))

    straight = model_of()
    straight.fit(x, y, batch_size=16, epochs=6, shuffle=False, verbose=0)
    model = model_of()
    model.fit(x, y, batch_size=16, epochs=3, shuffle=False, verbose=0)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert int(again.optimizer.iterations) == 3
    again.fit(x, y, batch_size=16, epochs=3, shuffle=False, verbose=0)
    for one, other in zip(straight.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_config_rebuilds_the_optimizer():
    optimizer = TorchSGD(
        0.3,
        momentum=0.8,
        weight_decay=0.02,
        nesterov=True,
        decay_norms=False,
        learning_rate_multipliers={"encoder/": 0.1},
        global_clipnorm=10.0,
    )
    again = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert again.get_config() == optimizer.get_config()
    assert (again.momentum, again.coupled_weight_decay, again.nesterov) == (0.8, 0.02, True)
    assert (again.decay_norms, again.decay_biases, again.global_clipnorm) == (False, True, 10.0)
    assert dict(again.learning_rate_multipliers) == {"encoder/": 0.1}
    assert json.loads(json.dumps(optimizer.get_config()["learning_rate_multipliers"])) == {"encoder/": 0.1}
    assert TorchSGD().get_config()["learning_rate_multipliers"] == {}


def test_state_is_float32_and_named_under_mixed_precision():
    layer = keras.layers.Dense(2, dtype="mixed_bfloat16", name="dense")
    layer.build((None, 3))
    optimizer = TorchSGD(0.1)
    optimizer.build(layer.trainable_variables)
    assert [v.name for v in optimizer.velocities] == ["dense_kernel_velocity", "dense_bias_velocity"]
    assert {v.dtype for v in optimizer.velocities} == {"float32"}
    optimizer.apply([tf.ones((3, 2), tf.bfloat16), tf.ones(2, tf.bfloat16)], layer.trainable_variables)
    np.testing.assert_allclose(layer.bias.numpy(), -0.1, rtol=1e-6)


def test_bad_arguments_say_what_was_expected():
    with pytest.raises(ValueError, match=r"momentum=1\.0; expected at least 0 and less than 1"):
        TorchSGD(momentum=1.0)
    with pytest.raises(ValueError, match="weight_decay=-1; expected at least 0"):
        TorchSGD(weight_decay=-1)
