import os
import signal
import types

import numpy as np
import pytest

from mmgl_tf.training.checkpoints import Checkpoints
from mmgl_tf.training.guards import Interrupted, NonFiniteGuard, NonFiniteLoss, StopRequest, StopWhenRequested
from mmgl_tf.training.position import Position


def test_the_guard_names_the_term_the_step_and_the_last_good_checkpoint(tmp_path):
    position = Position(7, steps_per_epoch=5, total_steps=20)
    guard = NonFiniteGuard(position, Checkpoints(tmp_path))
    fine = {"loss/total": 1.0, "loss/part": 0.5, "gradient/norm": 2.0}
    guard.on_train_batch_end(0, fine)
    with pytest.raises(NonFiniteLoss, match=r"loss/part stopped being finite at step 7 \(epoch 2\)") as error:
        guard.on_train_batch_end(0, {**fine, "loss/total": float("nan"), "loss/part": float("inf")})
    assert "No checkpoint had been saved" in str(error.value)
    Checkpoints(tmp_path).save(5, {}, {})
    with pytest.raises(NonFiniteLoss, match="gradient/norm stopped") as error:
        guard.on_train_batch_end(0, {**fine, "gradient/norm": float("nan")})
    assert "step_00000005" in str(error.value)


def test_a_first_signal_waits_and_a_second_acts():
    before = signal.getsignal(signal.SIGTERM)
    with StopRequest() as stop:
        assert stop.signum is None
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.signum == signal.SIGTERM
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is before


def test_position_counts_epochs_from_one_and_knows_their_ends():
    position = Position(0, steps_per_epoch=3, total_steps=6)
    seen = []
    for _ in range(6):
        position.on_train_batch_end(0)
        seen.append((position.step, position.epoch, position.at_epoch_end))
    assert seen == [(1, 1, False), (2, 1, False), (3, 1, True), (4, 2, False), (5, 2, False), (6, 2, True)]


def test_a_stop_waits_for_the_validation_of_an_epoch():
    position, stop = Position(4, steps_per_epoch=5, total_steps=10), StopRequest()
    callback = StopWhenRequested(stop, position)
    callback.on_train_batch_end(3)
    stop.signum = signal.SIGTERM
    with pytest.raises(Interrupted, match="SIGTERM after step 4"):
        callback.on_train_batch_end(3)
    position.step = 5
    callback.on_train_batch_end(4)
    with pytest.raises(Interrupted, match="SIGTERM after step 5"):
        callback.on_epoch_end(0)


def test_workers_vote_and_stop_only_once_all_have_the_votes():
    voted = []
    votes = np.float32(0)
    model = types.SimpleNamespace(
        stop_requested=types.SimpleNamespace(assign=voted.append),
        stop_votes=types.SimpleNamespace(numpy=lambda: votes),
    )
    stop = StopRequest(model, replicas=2)
    callback = StopWhenRequested(stop, Position(4, steps_per_epoch=5, total_steps=10))
    callback.on_train_batch_begin(0)
    assert voted == []
    stop.signum = signal.SIGINT
    for _ in range(2):
        callback.on_train_batch_begin(0)
    assert voted == [1.0], "once"
    callback.on_train_batch_end(0)  # the others do not know of it yet
    votes = np.float32(1)
    with pytest.raises(Interrupted, match="SIGINT after step 4"):
        callback.on_train_batch_end(0)
    stop.signum = None  # somebody else was asked
    with pytest.raises(Interrupted, match="SIGTERM after step 4"):
        callback.on_train_batch_end(0)
