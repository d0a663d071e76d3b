"""A batch in parts takes the step of the whole batch, statistics of batch norm aside.

Batch norm sees a part at a time, so its outputs differ. Here it normalises by its moving statistics instead,
except where it acts on the gathered batch; then whole and parts differ by rounding alone. In float64: what
is float32 anywhere on the way from the images to the weights would be seen as well.
"""

import numpy as np
import pytest

from mmgl_tf.layers.gathered_batch import batch_is_gathered
from mmgl_tf.layers.normalization.batch_norm import FusedBatchNorm
from mmgl_tf.training.checkpoints import collect, restore
from tests.contracts.cases import METHODS, case, take_step
from tests.float64 import in_float64

SAME = 1e-9  # of what a step moves


@pytest.fixture(autouse=True)
def no_batch_statistics(monkeypatch):
    of_batch = FusedBatchNorm._with_batch_statistics

    def normalise(self, x):
        return of_batch(self, x) if batch_is_gathered() else self._with_moving_statistics(x)

    monkeypatch.setattr(FusedBatchNorm, "_with_batch_statistics", normalise)


@pytest.mark.parametrize("method", METHODS)
def test_two_parts_take_the_step_of_the_whole(method):
    with in_float64():
        model, batch = case(method).model(), case(method).batch()
    start, ends, figures = collect(model), {}, {}
    for parts in (1, 2):
        restore(model, start)
        model.accumulate = parts
        figures[parts] = take_step(model, batch)
        ends[parts] = collect(model)
    assert figures[2] == pytest.approx(figures[1], rel=SAME, abs=SAME)
    reached = [f"weight/{variable.path}" for variable in model.reached_variables(batch)]
    assert any((ends[1][name] != start[name]).any() for name in reached), "neither does anything"
    for name, value in ends[1].items():
        apart = np.linalg.norm(ends[2][name] - value)
        assert apart <= SAME * np.linalg.norm(value - start[name]) + 1e-12, name
