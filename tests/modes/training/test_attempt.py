"""How training ends: complete, stopped, as the paper's "fail", or with TensorFlow's reason."""

import json
import signal
from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from mmgl_tf.machines.distribution import Distribution
from mmgl_tf.modes.training.attempt import attempt
from mmgl_tf.modes.training.pretrain import pretrain
from mmgl_tf.run_directory import RunDirectory
from mmgl_tf.training.checkpoints import Checkpoints
from mmgl_tf.training.fit import Training
from mmgl_tf.training.guards import Collapsed, Interrupted, NonFiniteLoss
from tests.modes.small_run import settings


def raising(error):
    def fit():
        raise error

    return fit


def test_what_training_returned_is_handed_on(tmp_path):
    assert attempt(lambda: "rows", RunDirectory(tmp_path), Distribution()) == (0, "rows")
    assert not (tmp_path / "summary.json").exists()


@pytest.mark.parametrize("kind", [Collapsed, NonFiniteLoss])
def test_a_divergence_is_status_3_with_its_reason_on_disk(tmp_path, capsys, kind):
    assert attempt(raising(kind("why it failed")), RunDirectory(tmp_path), Distribution()) == (3, None)
    assert json.loads((tmp_path / "summary.json").read_text()) == {
        "status": "collapsed" if kind is Collapsed else "fail",
        "reason": "why it failed",
        "last": None,
    }
    assert "\nfail: why it failed\n" in capsys.readouterr().err


def test_a_stop_is_no_failure(tmp_path, capsys):
    assert attempt(raising(Interrupted(signal.SIGTERM, 7)), RunDirectory(tmp_path), Distribution()) == (
        143,
        None,
    )
    assert "stopped by SIGTERM after step 7" in capsys.readouterr().out
    assert not (tmp_path / "summary.json").exists()


def test_tensorflows_errors_are_one_line_and_no_divergence(tmp_path):
    with pytest.raises(ValueError, match="TensorFlow stopped the run: ValueError: a broken image"):
        inner = "Graph execution error:\nTraceback\n  ValueError: a broken image\nmore"
        attempt(
            raising(tf.errors.InvalidArgumentError(None, None, inner)), RunDirectory(tmp_path), Distribution()
        )
    with pytest.raises(ValueError, match="out of memory; try --accumulate=2"):
        attempt(
            raising(tf.errors.ResourceExhaustedError(None, None, "OOM")),
            RunDirectory(tmp_path),
            Distribution(),
        )
    assert not (tmp_path / "summary.json").exists()


def test_a_pre_training_that_diverges_fails_as_a_fine_tuning_does(tmp_path, monkeypatch, capsys):
    def diverge(self, *arguments, **more):
        raise NonFiniteLoss("loss/part stopped being finite at step 2")

    monkeypatch.setattr(Training, "fit", diverge)
    places = {"workdir": str(tmp_path / "run"), "cache_dir": str(tmp_path / "cache")}
    short = {"epochs": 1, "steps_per_epoch": 2, "warmup_epochs": 0.0, "batch_size": 4, "probe_images": 4}
    assert pretrain(settings("pretrain", train_ids="train", **short, **places)) == 3
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert (summary["status"], summary["reason"]) == ("fail", "loss/part stopped being finite at step 2")
    assert "no weights of that epoch were saved" in capsys.readouterr().err
    assert not list((tmp_path / "run").glob("*.weights.h5"))


def test_settings_that_do_not_fit_the_checkpoint_are_not_recorded(tmp_path, monkeypatch):
    places = {"workdir": str(tmp_path / "run"), "cache_dir": str(tmp_path / "cache")}
    short = {"epochs": 1, "steps_per_epoch": 2, "warmup_epochs": 0.0, "batch_size": 4, "probe_images": 4}
    config = settings("pretrain", train_ids="train", **short, **places)
    run = RunDirectory(tmp_path / "run")
    run.claim(config)
    Checkpoints(run.checkpoints).save(1, {"strange": np.zeros(3)}, {"data": "other images"})
    before = run.config_path.read_text()
    with pytest.raises(ValueError, match="does not fit this model"):
        pretrain(replace(config, run=replace(config.run, force=True), mmgl=replace(config.mmgl, nce_tau=0.5)))
    assert run.config_path.read_text() == before
