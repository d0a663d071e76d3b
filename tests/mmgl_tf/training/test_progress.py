"""The line that tells how far a run is, where output is not a terminal."""

import io

import pytest

from mmgl_tf.training import progress
from mmgl_tf.training.position import Position
from mmgl_tf.training.progress import Progress, duration


@pytest.fixture
def lines(monkeypatch):
    """Function seconds of a step, every how many steps -> the lines of a run of 40 steps in two epochs."""

    def run(seconds, every):
        clock = [0.0]
        monkeypatch.setattr(progress.time, "perf_counter", lambda: clock[0])
        position, stream = Position(0, steps_per_epoch=20, total_steps=40), io.StringIO()
        bar = Progress(position, 2, 64, every, (), stream)
        for step in range(40):
            bar.on_train_batch_begin(step)
            clock[0] += seconds
            position.on_train_batch_end(step)
            bar.on_train_batch_end(step, {})
        return stream.getvalue().splitlines()

    return run


def test_quick_steps_are_told_of_by_number(lines):
    told = lines(0.5, every=10)
    assert [line.split("]")[1].split()[0] for line in told] == ["10/20", "20/20"] * 2
    assert "128 images/s  left 0:15" in told[0]


def test_slow_steps_are_told_of_by_time(lines):
    told = lines(20.0, every=100)
    numbers = [line.split("]")[1].split()[0] for line in told]
    assert numbers[:3] == ["2/20", "4/20", "6/20"] and len(numbers) == 20
    assert "left 12:40" in told[0]


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (59.6, "1:00"), (61, "1:01"), (3661, "1:01:01")])
def test_durations_read_like_a_clock(seconds, text):
    assert duration(seconds) == text
