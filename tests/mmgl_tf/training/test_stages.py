"""A run in stages: batches of another kind from an epoch on, and weights that only some of them reach."""

import types

import keras
import numpy as np
import pytest
import tensorflow as tf

from mmgl_tf.figures import OF_EVERY_RUN
from mmgl_tf.flags.config import from_flat, to_flat
from mmgl_tf.machines.distribution import Distribution
from mmgl_tf.optimizers import OPTIMIZERS
from mmgl_tf.run_directory import RunDirectory
from mmgl_tf.training.checkpoints import collect
from mmgl_tf.training.fit import Training
from mmgl_tf.training.plan import TrainingPlan
from mmgl_tf.training.step.model import TrainingModel
from mmgl_tf.training.step.running_mean import RunningMean

LENGTH, IMAGES = 3, 4
PLAN = TrainingPlan(LENGTH, 4, IMAGES, stages=(1, 1, 2))
SIZES = (5, 7, 7)  # of an image in each stage


class Staged(TrainingModel):
    """Two layers and a head for each stage; the second layer learns from the second stage on."""

    def __init__(self):
        def dense(name):
            return keras.layers.Dense(
                3, kernel_initializer=keras.initializers.RandomNormal(seed=1), name=name
            )

        names = [f"far_{stage}" for stage in range(3)]
        super().__init__(dense("encoder"), 3, dict.fromkeys(names, 1.0), [], "staged")
        self.deep = dense("deep")
        for stage in range(3):
            setattr(self, f"head{stage}", dense(f"head{stage}"))
        for layer in (self.encoder, self.deep, *self.heads):
            layer.build((None, 3))
        self.validation_means = {f"seen_{stage}": RunningMean(f"validation_{stage}") for stage in range(3)}
        self.shown, self.traced = OF_EVERY_RUN, []
        self.built = True

    @property
    def heads(self):
        return [self.head0, self.head1, self.head2]

    def stage(self, batch):
        return next(stage for stage in range(3) if f"target_{stage}" in batch)

    def reached_variables(self, batch):
        stage = self.stage(batch)
        layers = [self.encoder, *([self.deep] if stage else []), self.heads[stage]]
        return [variable for layer in layers for variable in layer.trainable_variables]

    def outputs(self, batch):
        stage = self.stage(batch)
        self.traced.append(stage)
        rows = tf.concat([batch["visible"], batch["infrared"]], axis=0)[:, :3]
        rows = tf.tanh(self.encoder(rows))
        rows = tf.tanh(self.deep(rows)) if stage else rows
        return {"rows": self.heads[stage](rows), f"target_{stage}": batch[f"target_{stage}"]}

    def losses(self, outputs, seed):
        stage = self.stage(outputs)
        off = outputs["rows"] - tf.cast(outputs[f"target_{stage}"], tf.float32)[:, None]
        return {f"far_{stage}": tf.reduce_mean(tf.square(off))}, {}

    def test_step(self, batch):
        stage = self.stage(batch)
        mean = self.validation_means[f"seen_{stage}"]
        mean.update_state(tf.convert_to_tensor(self.encoder.bias))
        return {f"seen_{stage}": mean.result()}

    def saved_layers(self):
        return {}


def staged(accumulate=1):
    model = Staged()
    model.accumulate = accumulate
    model.compile(
        optimizer=OPTIMIZERS["sgd"](0.1, weight_decay=0.1), jit_compile=False, auto_scale_loss=False
    )
    model.optimizer.build(model.trained_variables)
    return model


def batch_of(stage, step):
    dice = np.random.default_rng(step)
    batch = {
        name: dice.standard_normal((IMAGES, SIZES[stage])).astype(np.float32)
        for name in ("visible", "infrared")
    }
    return batch | {f"target_{stage}": dice.integers(0, 3, 2 * IMAGES).astype(np.int32)}


def batches(first, steps):
    """As `Training.fit` wants them."""
    stage = PLAN.stage_of(first)
    assert PLAN.stage_of(first + steps - 1) == stage, "one data set has batches of one kind"
    rows = [batch_of(stage, step) for step in range(first, first + steps)]
    return tf.data.Dataset.from_tensor_slices(
        {name: np.stack([row[name] for row in rows]) for name in rows[0]}
    )


class Killed(BaseException):
    """No error that anything in between would handle."""


def train(directory, killed_at=None):
    """Train to the end, or to a kill after a step; returns (model, rows of metrics.jsonl)."""
    settings = from_flat({"epochs": PLAN.epochs, "checkpoint_every_steps": 1, "workdir": str(directory)})
    run = RunDirectory(directory)
    run.claim(settings)
    model, asked = staged(), []

    def requested():
        asked.append(None)
        if killed_at is not None and len(asked) > killed_at:
            raise Killed

    training = Training(model, run, settings, PLAN, "images", Distribution("none"))
    wait = types.SimpleNamespace(requested=requested, seconds=0.0)

    def held_out(step):
        return batches(step, 1).apply(tf.data.experimental.assert_cardinality(1))

    rows, _ = training.fit(batches, held_out, wait, lambda logs: None, to_flat(settings))
    return model, rows


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    return train(tmp_path_factory.mktemp("straight"))


def test_each_stage_has_its_batches_its_figures_and_a_trace_of_its_own(straight):
    model, rows = straight
    assert model.traced == [0, 1, 2]
    shown = [sorted(n for n in row if n.startswith(("loss/far", "validation"))) for row in rows]
    ends = [[f"loss/far_{stage}", f"validation/seen_{stage}"] for stage in (0, 1, 2, 2)]
    assert shown == [["loss/far_0"], *ends]


def test_weights_that_a_stage_does_not_reach_are_left_alone():
    """Neither decay nor the velocity of former steps moves them."""
    model = staged()
    state = collect(model)
    for stage, reached in enumerate((("encoder", "head0"), ("encoder", "deep", "head1"))):
        model.train_step({name: tf.constant(value) for name, value in batch_of(stage, stage).items()})
        now = collect(model)
        moved = {
            name
            for name, value in state.items()
            if not name.startswith("metric") and not np.array_equal(now[name], value)
        }
        state = now
        expected = {f"weight/{v.path}" for v in model.trained_variables if v.path.split("/")[0] in reached}
        assert {name for name in moved if name.startswith("weight")} == expected
        assert len(moved) == 2 * len(expected) + 1, "their velocities, and the count of steps"


@pytest.mark.parametrize("stage", [0, 2])
def test_parts_have_the_gradient_of_the_whole(stage):
    states = []
    for accumulate in (1, 2):
        model = staged(accumulate)
        tf.function(model.train_step, autograph=False)(
            {name: tf.constant(value) for name, value in batch_of(stage, 0).items()}
        )
        states.append(collect(model))
    for name, value in states[0].items():
        np.testing.assert_allclose(states[1][name], value, rtol=2e-5, atol=2e-6, err_msg=name)


@pytest.mark.parametrize("killed_at", [3, 4, 8])
def test_a_run_that_is_killed_in_any_stage_goes_on_bit_for_bit(tmp_path, straight, killed_at):
    with pytest.raises(Killed):
        train(tmp_path, killed_at)
    resumed, rows = train(tmp_path)
    expected, found = collect(straight[0]), collect(resumed)
    assert set(found) == set(expected)
    assert [name for name, value in expected.items() if not np.array_equal(found[name], value)] == []
    assert [row["epoch"] for row in rows] == [0, 1, 2, 3, 4]
