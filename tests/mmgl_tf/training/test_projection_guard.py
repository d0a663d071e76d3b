import types

import pytest

from mmgl_tf.machines.distribution import Distribution
from mmgl_tf.training.guards import Collapsed
from mmgl_tf.training.projection_guard import ProjectionGuard


def guard(recorded, judged="", alarm=""):
    """A guard and a list of what its model was shown."""
    shown = []

    def says(text):
        return lambda epochs: shown.append(epochs) or text

    made = ProjectionGuard(recorded and types.SimpleNamespace(rows=recorded), Distribution())
    made.set_model(types.SimpleNamespace(judged=says(judged), alarm=says(alarm)))
    return made, shown


ROWS = [{"epoch": epoch, "loss/total": 1.0} for epoch in range(3)]


def test_a_reason_ends_the_run():
    made, _ = guard(ROWS, judged="the projector's infrared embeddings are a point")
    with pytest.raises(Collapsed, match=r"infrared embeddings are a point \(epoch 2\). Try a smaller"):
        made.on_epoch_end(1)


def test_the_model_is_shown_every_epoch_that_is_recorded_but_not_the_first_step(capsys):
    made, shown = guard(ROWS)
    made.on_epoch_end(1)
    assert shown == [{1: ROWS[1], 2: ROWS[2]}] * 2
    assert capsys.readouterr().out == ""


def test_an_alarm_is_told_and_stops_nothing(capsys):
    made, _ = guard(ROWS, alarm="small")
    made.on_epoch_end(1)
    assert capsys.readouterr().out == "  alarm: small\n"


def test_another_worker_than_the_chief_judges_nothing():
    made, shown = guard(None, judged="nobody asks", alarm="nobody asks")
    made.on_epoch_end(1)
    assert not shown
