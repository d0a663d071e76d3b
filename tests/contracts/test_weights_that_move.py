"""A step moves each trained weight, the state that the method says, batch norm's statistics, nothing else."""

import numpy as np
import pytest

from mmgl_tf.flags.methods import recipes
from tests.contracts.cases import METHODS, case
from tests.contracts.course import course, take_course


def changed(before, after):
    """Names of the weights that two states do not share."""
    weights = [name for name in before if name.startswith("weight/")]
    return {name for name in weights if not np.array_equal(before[name], after[name])}


def statistics(names):
    return {name for name in names if name.rpartition("/")[2] in ("moving_mean", "moving_variance")}


def layer_with(name):
    """What holds a batch norm and its neighbours: "encoder/layer1/0" of ".../bn1/moving_mean"."""
    return name.rsplit("/", 2)[0]


def by_construction(taken, names):
    """Those of some weights that the method says have no gradient."""
    return {name for name in names if name.endswith(tuple(taken.model.without_gradient()))}


# Methods with more stages than two steps see: epochs have a step each, and stages an epoch at least.
STAGED = tuple(method for method in METHODS if len(case(method).stages) > 2)
NATIVE = tuple(method for method in METHODS if "native" in recipes(method))


@pytest.mark.parametrize(
    ("method", "recipe", "first"),
    [
        *((method, "common", 0) for method in METHODS),
        *((method, "common", 1) for method in STAGED),
        *(pytest.param(method, "native", 0, marks=pytest.mark.slow) for method in NATIVE),
    ],
)
def test_steps_move_each_trained_weight_and_nothing_else(method, recipe, first):
    usual = (recipe, first) == ("common", 0)
    taken = course(method) if usual else take_course(case(method, recipe), first)
    moved = [changed(taken.start, taken.stepped), changed(taken.ended, taken.stepped_again)]
    for seen, trained in zip(moved, taken.trained, strict=True):
        allowed = trained | set(taken.moves) | statistics(taken.start)
        assert not seen - allowed, "neither trained nor returned by `after_update`"
    # In two steps: what starts at 0 (the last gamma of a residual block) blocks gradients in the first one.
    still = (taken.trained[0] | taken.trained[1]) - moved[0] - moved[1]
    assert still <= by_construction(taken, still), "trained weights that no step moves"
    used = {layer_with(name) for name in taken.trained[0] | set(taken.moves)}
    expected = {name for name in statistics(taken.start) if layer_with(name) in used}
    assert not expected - moved[0], "batch norm without batch statistics: a layer is not called for training"


@pytest.mark.parametrize("method", METHODS)
def test_state_beside_the_trained_weights_is_what_after_update_says(method):
    taken = course(method)
    for name, value in taken.moves.items():
        np.testing.assert_array_equal(taken.stepped[name], value, err_msg=name)


@pytest.mark.parametrize("method", METHODS)
def test_all_figures_are_finite(method):
    taken = course(method)
    for figures in (taken.figures, taken.figures_again):
        assert {name for name, value in figures.items() if not np.isfinite(value)} == set()
