"""XLA compiles the step of every method that does not say otherwise, and it does what TensorFlow's does."""

import numpy as np
import pytest
import tensorflow as tf

from mmgl_tf.flags.config import options
from mmgl_tf.modes.model import METHODS as CLASSES
from mmgl_tf.training.checkpoints import collect, restore
from tests.contracts.cases import METHODS, case
from tests.contracts.course import course

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(("method", "stage"), [(m, stage) for m in METHODS for stage in case(m).stages])
def test_the_compiled_step_is_the_eager_one(method, stage):
    of, taken = case(method), course(method)
    if CLASSES[method].obstacle_to_xla(options(of.config)):
        pytest.skip("says that it cannot be compiled")
    batch, model, ends, figures = of.batch(stage), taken.model, [], []
    for step in (model.train_step, tf.function(model.train_step, jit_compile=True)):
        restore(model, taken.start)
        model.optimizer.iterations.assign(stage)
        figures.append({name: float(value) for name, value in step(batch).items()})
        ends.append(collect(model))
    eager, compiled = figures
    # Not the accuracies: those of an untrained network hang on ties, which rounding decides.
    for name in (name for name in eager if name.startswith(("loss/", "gradient/"))):
        assert compiled[name] == pytest.approx(eager[name], rel=1e-3, abs=1e-5), name
    trained = [f"weight/{variable.path}" for variable in model.reached_variables(batch)]
    apart, moved = (
        np.sqrt(sum(np.sum(np.square(end[name] - other[name], dtype=np.float64)) for name in trained))
        for end, other in (ends, (ends[0], taken.start))
    )
    assert apart < 0.02 * moved
