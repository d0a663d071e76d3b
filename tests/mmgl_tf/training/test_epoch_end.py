"""A method's state at the end of an epoch: when it moves, and that it is resumed."""

import types

import numpy as np
import pytest
import tensorflow as tf

from mmgl_tf.figures import OF_EVERY_RUN
from mmgl_tf.flags.config import from_flat, to_flat
from mmgl_tf.machines.distribution import Distribution
from mmgl_tf.run_directory import RunDirectory
from mmgl_tf.training.checkpoints import collect
from mmgl_tf.training.fit import Training
from mmgl_tf.training.plan import TrainingPlan
from tests.mmgl_tf.training.step.stateful_method import Stateful, global_batch, stateful

LENGTH, EPOCHS = 3, 2


class Killed(BaseException):
    """No error that anything in between would handle."""


class Followed(Stateful):
    """Notes its balance when an epoch has moved it, in validation and when weights are saved."""

    def __init__(self):
        super().__init__()
        self.seen, self.shown = [], OF_EVERY_RUN

    def after_epoch(self):
        super().after_epoch()
        self.seen.append(("epoch", float(self.balance)))

    def saved_layers(self):
        self.seen.append(("saved", float(self.balance)))
        return {}


def batches(first, steps):
    """As `Training.fit` wants them."""
    rows = [global_batch(step) for step in range(first, first + steps)]
    return tf.data.Dataset.from_tensor_slices(
        {name: np.stack([row[name] for row in rows]) for name in rows[0]}
    )


def train(directory, killed_at=None):
    """Train to the end, or to a kill after a step; returns the model."""
    settings = from_flat({"epochs": EPOCHS, "checkpoint_every_steps": 1, "workdir": str(directory)})
    run = RunDirectory(directory)
    run.claim(settings)
    model, asked = stateful(kind=Followed), []

    def requested():
        asked.append(None)
        if killed_at is not None and len(asked) > killed_at:
            raise Killed

    plan = TrainingPlan(LENGTH, EPOCHS, 4)
    training = Training(model, run, settings, plan, "images", Distribution("none"))
    wait = types.SimpleNamespace(requested=requested, seconds=0.0)
    held_out = batches(0, 1)
    held_out = held_out.apply(tf.data.experimental.assert_cardinality(1))

    def probe():
        model.seen.append(("probe", float(model.balance)))
        return {}

    training.fit(
        batches, lambda step: held_out, wait, lambda logs: float(logs["val_seen"]), to_flat(settings), probe
    )
    return model


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    return train(tmp_path_factory.mktemp("straight"))


def test_it_moves_once_an_epoch_before_the_weights_are_judged_and_saved(straight):
    ends = [value for what, value in straight.seen if what == "epoch"]
    assert len(ends) == EPOCHS and len({1.0, *ends}) == EPOCHS + 1
    expected = [("probe", 1.0)]
    for end in ends:
        expected += [("epoch", end), ("probe", end), ("saved", end), ("saved", end)]
    assert straight.seen == expected
    assert float(straight.validation_means["seen"].result()) == pytest.approx(ends[-1]), "validation"


@pytest.mark.parametrize("killed_at", [1, LENGTH, LENGTH + 1])
def test_a_run_that_is_killed_goes_on_bit_for_bit(tmp_path, straight, killed_at):
    with pytest.raises(Killed):
        train(tmp_path, killed_at)
    resumed = train(tmp_path)
    expected, found = collect(straight), collect(resumed)
    assert set(found) == set(expected)
    assert [name for name, value in expected.items() if not np.array_equal(found[name], value)] == []
