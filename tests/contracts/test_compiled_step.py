"""XLA compiles the step of every method that does not say otherwise, and it does what TensorFlow's does.

In float64, where both are the same beyond doubt. What is drawn within a step is a function of the seed in
float32, its logarithms rounded as each of them does; hence not to the last bits. XLA has no deterministic
kernels for all of a step.
"""

import numpy as np
import pytest
import tensorflow as tf

from mmgl_tf.flags.config import options
from mmgl_tf.flags.methods import obstacle_to_xla
from mmgl_tf.training.checkpoints import collect, restore
from tests.contracts.cases import METHODS, case, in_double, take_step
from tests.float64 import in_float64

pytestmark = pytest.mark.slow

SAME = 1e-6
COMPILED = [method for method in METHODS if not obstacle_to_xla(method, options(case(method).config))]


@pytest.fixture(autouse=True)
def _as_in_a_run(_leave_no_global_state):
    """Instead of the contracts' own: not deterministic, which a run that is compiled cannot be."""


@pytest.mark.parametrize(("method", "stage"), [(m, stage) for m in COMPILED for stage in case(m).stages])
def test_the_compiled_step_is_the_eager_one(method, stage):
    of = case(method, deterministic=False)
    with in_float64():
        model, batch = of.model(), in_double(of.batch(stage))
    model.optimizer.iterations.assign(stage)
    start, ends, figures = collect(model), [], []
    eager = model.train_step
    for step in (eager, tf.function(eager, jit_compile=True, autograph=False)):
        restore(model, start)
        model.train_step = step
        figures.append(take_step(model, batch))
        ends.append(collect(model))
    assert figures[1] == pytest.approx(figures[0], rel=SAME, abs=SAME)
    trained = [f"weight/{variable.path}" for variable in model.reached_variables(batch)]
    apart, moved = (
        np.sqrt(sum(np.sum(np.square(end[name] - other[name])) for name in trained))
        for end, other in (ends, (ends[0], start))
    )
    assert apart < SAME * moved
