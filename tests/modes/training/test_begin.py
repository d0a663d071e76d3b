"""How a training mode begins, and what the loss of a worker means to its exit status."""

import pytest
import tensorflow as tf

from mmgl_tf.flags.config import from_flat
from mmgl_tf.machines.distribution import Distribution, WorkerLost
from mmgl_tf.modes.training import begin as module
from mmgl_tf.modes.training.begin import AGAIN, begin, shards_of
from mmgl_tf.pipelines.batches.shards import WHOLE


class Ended(BaseException):
    """In place of the end of the process."""


@pytest.fixture
def two_workers(monkeypatch):
    """Two workers that need not wait for each other, and an end of the process that can be seen."""

    def made(name):
        distribution = Distribution("none")
        distribution.workers = distribution.total = 2
        monkeypatch.setattr(distribution, "agree", lambda **facts: None)
        return distribution

    def ended(status):
        raise Ended(status)

    monkeypatch.setattr(module, "Distribution", made)
    monkeypatch.setattr(module.os, "_exit", ended)


def config(tmp_path, **changes):
    return from_flat({"mode": "pretrain", "workdir": str(tmp_path / "run"), "deterministic": False} | changes)


def lose(*_):
    raise tf.errors.UnavailableError(None, None, "Socket closed")


def test_a_loss_anywhere_in_training_ends_with_75(tmp_path, two_workers, capsys):
    with pytest.raises(Ended, match=str(AGAIN)):
        begin(config(tmp_path), lose)
    assert "Start all workers again" in capsys.readouterr().err


def test_a_loss_while_workers_are_connected_ends_with_75(tmp_path, two_workers, monkeypatch):
    def refuse(name):
        raise WorkerLost("nobody there")

    monkeypatch.setattr(module, "Distribution", refuse)
    with pytest.raises(Ended, match=str(AGAIN)):
        begin(config(tmp_path), lambda *_: 0)


def test_alone_an_error_stays_what_it_is(tmp_path):
    with pytest.raises(tf.errors.UnavailableError):
        begin(config(tmp_path), lose)


def test_the_status_is_trainings(tmp_path, two_workers):
    assert begin(config(tmp_path), lambda *_: 143) == 143


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"batch_size": 9}, "Set --batch_size to 8 or 10"),
        ({"mode": "finetune", "identities_per_batch": 3, "images_per_identity": 1}, "--identities_per_batch"),
        ({"batch_size": 8, "accumulate": 8}, "--accumulate=8 does not divide the 4 images"),
    ],
)
def test_a_batch_that_cannot_be_shared_is_refused_before_anything_is_made(
    tmp_path, two_workers, changes, words
):
    with pytest.raises(ValueError, match=words):
        begin(config(tmp_path, **changes), lambda *_: 0)
    assert not (tmp_path / "run").exists()


def test_one_device_makes_whole_batches():
    assert shards_of(Distribution("none")) == WHOLE
