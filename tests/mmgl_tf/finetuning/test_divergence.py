"""The paper's "fail": what counts as one, and that nothing of it is saved."""

import math
import types

import keras
import numpy as np
import pytest

from mmgl_tf.training.checkpoints import Checkpoints
from mmgl_tf.training.guards import (
    Collapsed,
    CollapseGuard,
    Diverged,
    NonFiniteGuard,
    NonFiniteLoss,
    NonFiniteNetwork,
    StopWhenRequested,
)
from mmgl_tf.training.position import Position
from mmgl_tf.training.step.running_mean import RunningMean

POSITION = Position(10, steps_per_epoch=5, total_steps=20)


@pytest.mark.parametrize("kind", [Collapsed, NonFiniteLoss, NonFiniteNetwork])
def test_each_kind_of_divergence_is_one_that_the_mode_reports_as_fail(kind):
    assert issubclass(kind, Diverged)
    assert issubclass(kind, ValueError)  # where nobody reports it, it is a message and no traceback


def run_epoch(guard, spreads):
    """An epoch of steps whose batches have these spreads."""
    mean = RunningMean("spread")
    guard.set_model(types.SimpleNamespace(train_means={"embedding/spread": mean}))
    guard.on_epoch_begin(1)
    for step, spread in enumerate(spreads):
        guard.on_train_batch_begin(step)
        mean.update_state(np.float32(spread))
    guard.on_epoch_end(1)


@pytest.mark.parametrize(
    ("spreads", "collapsed"),
    [
        ([9.9e-6] * 3, True),
        ([1.01e-5] * 3, False),
        ([0.0], True),
        ([0.4] * 20 + [0.0] * 5, True),  # the epoch's mean is alive, its end is not
        ([0.0] * 20 + [0.4], False),  # it came back
        ([0.0] * 80 + [1e-4], False),  # so did this, though the epoch's mean is below the threshold
        ([0.4] * 19 + [0.0], False),  # a single batch inside a window
    ],
)
def test_an_epoch_whose_embeddings_are_one_at_its_end_is_a_collapse(spreads, collapsed):
    if not collapsed:
        run_epoch(CollapseGuard(POSITION), spreads)
        return
    match = r"collapsed at the end of epoch 2 \(step 10\): .* below 1e-05.* --learning_rate"
    with pytest.raises(Collapsed, match=match):
        run_epoch(CollapseGuard(POSITION), spreads)


def test_each_epoch_is_judged_by_itself():
    guard = CollapseGuard(POSITION)
    run_epoch(guard, [0.4] * 30)
    with pytest.raises(Collapsed):
        run_epoch(guard, [0.0] * 3)


def test_a_threshold_and_window_of_ones_own_and_a_method_without_the_figure():
    with pytest.raises(Collapsed, match=r"was 0\.4, below 5e-01"):
        run_epoch(CollapseGuard(POSITION, threshold=0.5, window_steps=2), [0.9, 0.9, 0.4])
    guard = CollapseGuard(POSITION)
    guard.set_model(types.SimpleNamespace(train_means={}))
    guard.on_train_batch_begin(0)
    guard.on_epoch_end(1)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_weights_that_are_not_numbers_at_the_end_of_an_epoch(tmp_path, value):
    layer = keras.layers.Dense(3, name="classifier")
    layer.build((None, 2))
    guard = NonFiniteGuard(POSITION, Checkpoints(tmp_path))
    guard.set_model(types.SimpleNamespace(weights=layer.weights))
    guard.on_epoch_end(1)
    bias = np.zeros(3, "float32")
    bias[1] = value
    layer.bias.assign(bias)
    with pytest.raises(NonFiniteNetwork, match=r"1 of 2 weights, such as .*bias.* epoch 2 .*\(step 10\)"):
        guard.on_epoch_end(1)


def test_guards_come_before_anything_that_is_saved(tmp_path, monkeypatch):
    """Keras calls callbacks in order; a guard behind the saving one would let a bad epoch be the best."""
    from mmgl_tf.flags.config import from_flat
    from mmgl_tf.machines.distribution import Distribution
    from mmgl_tf.run_directory import RunDirectory
    from mmgl_tf.training import fit
    from mmgl_tf.training.plan import TrainingPlan
    from mmgl_tf.training.recording import Recording
    from mmgl_tf.training.saving import Saving

    seen = {}
    model = types.SimpleNamespace(
        validation_means={},
        fit=lambda _data, **settings: seen.update(settings),
        metrics=[],
        shown=(),
    )
    config = from_flat({"epochs": 2, "workdir": str(tmp_path / "run")})
    plan, run = TrainingPlan(5, 2, 2), RunDirectory(tmp_path / "run")
    training = fit.Training(model, run, config, plan, "none", Distribution("none"))
    training.fit(lambda first, steps: None, None, None, None, {})
    order = [type(callback) for callback in seen["callbacks"]]
    for guard in (NonFiniteGuard, CollapseGuard):
        assert order.index(guard) < min(order.index(Recording), order.index(Saving))
    # The look at validation identities comes before the choice of the best weights.
    assert order.index(Recording) < order.index(Saving)
    assert order[-1] is StopWhenRequested, "a stop comes after everything is saved"
