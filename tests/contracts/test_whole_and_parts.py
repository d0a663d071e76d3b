"""A batch in parts takes the step of the whole batch, statistics of batch norm aside.

Batch norm sees a part at a time, so its outputs differ. Here it normalises by its moving statistics instead,
except where it acts on the gathered batch; then whole and parts differ by rounding alone.
"""

import numpy as np
import pytest

from mmgl_tf.layers.batch_norm import FusedBatchNorm
from mmgl_tf.layers.gathered_batch import batch_is_gathered
from mmgl_tf.training.checkpoints import collect, restore
from tests.contracts.cases import METHODS, case, take_step
from tests.contracts.course import course


@pytest.fixture(autouse=True)
def no_batch_statistics(monkeypatch):
    of_batch = FusedBatchNorm._with_batch_statistics

    def normalise(self, x):
        return of_batch(self, x) if batch_is_gathered() else self._with_moving_statistics(x)

    monkeypatch.setattr(FusedBatchNorm, "_with_batch_statistics", normalise)


@pytest.mark.parametrize("method", METHODS)
def test_two_parts_take_the_step_of_the_whole(method):
    taken, batch = course(method), case(method).batch()
    ends, figures = {}, {}
    for parts in (1, 2):
        restore(taken.model, taken.start)
        taken.model.accumulate = parts
        figures[parts] = take_step(taken.model, batch)
        ends[parts] = collect(taken.model)
    taken.model.accumulate = 1
    assert figures[2] == pytest.approx(figures[1], rel=1e-4, abs=1e-5)
    for name in taken.trained[0] | set(taken.moves):
        moved = np.linalg.norm(ends[1][name] - taken.start[name])
        apart = np.linalg.norm(ends[2][name] - ends[1][name])
        assert apart <= 1e-3 * moved + 1e-6, name
