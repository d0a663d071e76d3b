"""A run whose projections collapse, from the look at fixed images to the exit status.

Its steps train nothing and its projections are made up; all else is a run's.
"""

import json

import numpy as np
import pytest
import tensorflow as tf

from mmgl_tf.modes.training.pretrain import pretrain
from mmgl_tf.pretraining.mmgl import Mmgl
from mmgl_tf.run_directory import RunDirectory
from tests.modes.small_run import settings

EPOCHS = 6


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """The drawn people."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def run_with(tmp_path, monkeypatch, cache):
    """Function (how far the infrared embeddings are from a point) -> exit status of a run."""
    dice = np.random.RandomState(0).randn(2, 64, 16)

    def train_step(self, batch):
        self.optimizer.iterations.assign_add(1)
        return {"loss/total": tf.constant(1.0), "gradient/norm": tf.constant(1.0)}

    def run(distance):
        def probed(self, batch):
            rows = np.concatenate([dice[0], 1.0 + distance * dice[1]])
            return {"features": tf.ones((8, 4)), "judged": tf.constant(rows, tf.float32)}

        monkeypatch.setattr(Mmgl, "train_step", train_step)
        monkeypatch.setattr(Mmgl, "probed", probed)
        for of_more in ("probe_figures", "probe_pictures", "batch_pictures"):
            monkeypatch.setattr(Mmgl, of_more, lambda *_: {})
        places = {"workdir": str(tmp_path / "run"), "cache_dir": str(cache)}
        short = {"epochs": EPOCHS, "steps_per_epoch": 1, "warmup_epochs": 0.0, "batch_size": 4}
        return pretrain(settings("pretrain", **short, probe_images=4, **places))

    run.directory = tmp_path / "run"
    return run


def summary(run):
    return json.loads((run.directory / "summary.json").read_text())


def epochs(run):
    return [row["epoch"] for row in RunDirectory(run.directory).read_metrics()]


def test_it_ends_with_status_3_two_epochs_after_the_warm_up_and_resumed_again(run_with, capsys):
    for _ in range(2):  # resumed from the last epoch's checkpoint, it meets the same end
        assert run_with(0.01) == 3
        found = summary(run_with)
        assert found["status"] == "collapsed"
        assert "projector's infrared embeddings have 0.0094 of an even spread, below 0.05" in found["reason"]
        assert epochs(run_with) == [0, 1, 2, 3, 4]
        assert found["last"]["epoch"] == 4
        assert 0 < found["last"]["projection/spread_infrared"] < 0.05
    assert "fail: the projector's infrared embeddings" in capsys.readouterr().err


def test_an_alarm_is_told_and_stops_nothing(run_with, capsys):
    assert run_with(0.1) == 0
    printed = capsys.readouterr().out
    alarm = "the projector's infrared embeddings have 0.094 of an even spread, below 0.2"
    assert printed.count(f"  alarm: {alarm}") == EPOCHS - 3, "epochs 1 and 2 are warm-up, 3 has none before"
    assert f"alarm      {alarm}" in (run_with.directory / "summary.txt").read_text()
