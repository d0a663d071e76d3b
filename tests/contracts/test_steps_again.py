"""The same start makes the same steps, to the last bit: from a seed, and from a checkpoint."""

import numpy as np
import pytest

from mmgl_tf.training.checkpoints import collect, restore
from tests.contracts.cases import METHODS, assert_equal, case, take_step
from tests.contracts.course import course


@pytest.mark.parametrize("method", METHODS)
def test_a_second_model_of_a_seed_starts_alike_and_restored_goes_on_alike(method):
    """The second one has taken no step: what it is beside its variables is that of a new model."""
    of, taken = case(method), course(method)
    model = of.model()
    assert_equal(collect(model), taken.start)
    restore(model, taken.ended)
    assert take_step(model, of.batch(1)) == taken.figures_again
    assert_equal(collect(model), taken.stepped_again)


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_another_seed_gives_other_weights(method):
    start, other = course(method).start, collect(case(method, seed=3).model())
    matrices = [f"weight/{v.path}" for v in course(method).model.trainable_variables if len(v.shape) > 1]
    drawn = [name for name in matrices if start[name].any()]
    assert drawn and not [name for name in drawn if np.array_equal(start[name], other[name])]
