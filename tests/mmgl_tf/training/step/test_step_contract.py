"""Layers on the gathered batch, and state beside the trained weights: the same on replicas and in parts."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from mmgl_tf.training.step.model import TrainingModel
from mmgl_tf.training.step.momentum import cosine_momentum
from tests.float64 import compute_in_float64, in_float64
from tests.mmgl_tf.training.step.stateful_method import IMAGES, QUEUE, STEPS, Stateful, global_batch, stateful

ROOT = Path(__file__).parents[4]


@pytest.fixture(autouse=True)
def float64():
    compute_in_float64()


def batches(steps=STEPS):
    return [{name: tf.constant(v) for name, v in global_batch(step).items()} for step in range(steps)]


def trained(jit_compile=False, **options):
    """A model after steps."""
    model = stateful(**options)
    step = tf.function(model.train_step, jit_compile=jit_compile, autograph=False)
    for batch in batches():
        step(batch)
    return model


def state(model):
    return {variable.path: variable.numpy() for variable in model.weights}


@pytest.fixture(scope="module")
def one():
    """The truth: the state after steps on one device, the batch as a whole."""
    with in_float64():
        return state(trained())


@pytest.fixture(scope="module")
def on_devices(tmp_path_factory):
    """{case: [{name: array} of each device]}, from a process of its own."""
    out = tmp_path_factory.mktemp("steps") / "found.npz"
    command = [sys.executable, "-m", "tests.mmgl_tf.training.step.stateful_steps", str(out)]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    found = {}
    with np.load(out) as archive:
        for key in archive.files:
            case, device, name = key.split("/", 2)
            found.setdefault(case, [{}, {}])[int(device)][name] = archive[key]
    return found


def assert_same(found, expected):
    assert set(found) == set(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-9, atol=1e-12, err_msg=name)


def test_the_method_moves_all_that_the_test_is_about(one):
    """Else two ways would agree because neither does anything."""
    start = state(Stateful())
    unmoved = [name for name, value in one.items() if np.allclose(value, start[name], atol=1e-3)]
    assert unmoved == ["stateful/balance"], "which an epoch moves"


@pytest.mark.slow
@pytest.mark.parametrize("case", ["two devices", "two devices in parts"])
def test_two_devices_move_weights_and_state_as_one(on_devices, one, case):
    first, second = on_devices[case]
    assert_same(first, one)
    assert all(np.array_equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("parts", [2, 4])
def test_parts_move_weights_and_state_as_the_whole(one, parts):
    assert_same(state(trained(accumulate=parts)), one)


def test_the_step_compiles_under_xla(one):
    assert_same(state(trained(jit_compile=True)), one)


def test_batch_norm_on_the_gathered_batch_moves_once_a_step():
    """PyTorch's rule on all 2B rows; in parts too."""
    for accumulate in (1, 2):
        model = stateful(accumulate=accumulate)
        (batch,) = batches(1)
        rows = model.outputs(batch)["rows"]
        nodes = model.graph(rows).numpy()
        model.train_step(batch)
        np.testing.assert_allclose(model.graph_norm.moving_mean, 0.1 * nodes.mean(0), rtol=1e-5, atol=1e-7)
        expected = 0.9 + 0.1 * nodes.var(0, ddof=1)
        np.testing.assert_allclose(model.graph_norm.moving_variance, expected, rtol=1e-5)


def test_the_queue_holds_the_newest_rows_of_the_whole_batch_first():
    for accumulate in (1, 2):
        model, pushed = stateful(accumulate=accumulate), []
        for batch in batches(4):
            pushed.insert(0, model.outputs(batch)["target"][:IMAGES].numpy())
            model.train_step(batch)
        np.testing.assert_allclose(model.queue.numpy(), np.concatenate(pushed)[:QUEUE], rtol=1e-6)
        assert int(model.filled) == QUEUE


def test_the_copy_follows_the_updated_weights_with_the_momentum_of_the_steps_gone_by():
    model, target = stateful(), None
    for step, batch in enumerate(batches(3)):
        target = model.target.kernel.numpy() if target is None else target
        model.train_step(batch)
        share = float(cosine_momentum(step, 2 * STEPS, 0.6))
        target = share * target + (1 - share) * model.encoder.kernel.numpy()
        np.testing.assert_allclose(model.target.kernel.numpy(), target, rtol=1e-6)
    assert not np.allclose(model.encoder.kernel, target, atol=1e-3)


def test_frozen_prototypes_stand_still_and_then_move():
    model = stateful()
    start = model.prototypes.kernel.numpy()
    for step, batch in enumerate(batches(3)):
        model.train_step(batch)
        assert np.array_equal(model.prototypes.kernel, start) == (step < 2)


@pytest.mark.slow
def test_a_step_that_overflows_moves_no_state(on_devices):
    model = stateful(scaled=True)
    before = state(model)
    model.optimizer.loss_scale.scale.assign(np.inf)
    (batch,) = batches(1)
    model.train_step(batch)
    for found in (state(model), *on_devices["skipped on two devices"]):
        moved = [name for name, value in before.items() if not np.array_equal(found[name], value)]
        assert moved == ["graph_norm/moving_mean", "graph_norm/moving_variance"], "the forward pass's own"
    model.optimizer.loss_scale.scale.assign(8.0)
    model.train_step(batch)
    assert not np.array_equal(model.queue, before["stateful/queue"])


def test_gradients_may_be_adjusted():
    class Halved(Stateful):
        def adjusted_gradients(self, gradients, variables, step):
            assert [v.path for v in variables] == [v.path for v in self.trained_variables]
            assert step.dtype == tf.int64
            return [g * 0.5 for g in gradients]

    whole, half, (batch,) = stateful(decay=0.0), stateful(decay=0.0, kind=Halved), batches(1)
    start = half.encoder.kernel.numpy()
    for model in (whole, half):
        model.train_step(batch)
    moves = [model.encoder.kernel.numpy() - start for model in (half, whole)]
    np.testing.assert_allclose(moves[0], 0.5 * moves[1], rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_trained_variable_that_no_loss_reaches_is_named(accumulate):
    class Idle(Stateful):
        trained_variables = TrainingModel.trained_variables  # with the momentum copy

    model = stateful(accumulate, kind=Idle)
    with pytest.raises(ValueError, match=r"no loss reaches 2 of 8 trained variables, such as target/kernel"):
        model.train_step(batches(1)[0])


def test_outputs_have_a_row_for_each_image():
    class Tiled(Stateful):
        def outputs(self, batch):
            return super().outputs(batch) | {"tiles": tf.zeros([9 * IMAGES, 2])}

    model = stateful(kind=Tiled)
    with pytest.raises(ValueError, match=r"the output 'tiles' has 36 rows; expected 4, .* or 8"):
        model.train_step(batches(1)[0])


def test_state_of_another_shape_is_refused():
    class Grown(Stateful):
        def after_update(self, outputs, step):
            return [(self.queue, self.queue[:3])]

    model = stateful(kind=Grown)
    with pytest.raises(
        ValueError, match=r"after_update gives .*queue.* the shape \(3, 3\); expected \(12, 3\)"
    ):
        model.train_step(batches(1)[0])
