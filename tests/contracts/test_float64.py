"""Every method can compute in float64 throughout, where two ways of computing are compared."""

import numpy as np
import pytest
import tensorflow as tf

from tests.contracts.cases import METHODS, case, take_step
from tests.contracts.course import course
from tests.float64 import in_float64


def widths(values):
    """The float types of some tensors or variables."""
    return {tf.as_dtype(v.dtype).name for v in values if tf.as_dtype(v.dtype).is_floating}


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_a_step_in_float64_is_float64_from_images_to_gradients_and_a_step_of_the_method(method):
    of = case(method)
    with in_float64():
        model, batch = of.model(), of.batch()
        for variable in model.weights:  # initialisers draw other numbers in float64
            variable.assign(course(method).start[f"weight/{variable.path}"])
        seen, losses, sum_up = [], model.losses, model.optimizer.unscaled_norm

        def noted_losses(outputs, seed):
            terms, measures = losses(outputs, seed)
            seen.extend(widths(terms.values()))
            return terms, measures

        def noted_norm(gradients):
            seen.extend(widths(gradients))
            return sum_up(gradients)

        model.losses, model.optimizer.unscaled_norm = noted_losses, noted_norm
        figures = take_step(model, batch)
    assert {*seen, *widths(model.trainable_variables)} == {"float64"}
    expected = course(method).figures
    assert set(figures) == set(expected)
    # As far apart as float32 may be: that it is the same network.
    for name in (name for name in figures if name.startswith("loss/")):
        assert figures[name] == pytest.approx(expected[name], rel=1e-2), name
    assert np.isfinite(figures["gradient/norm"])
