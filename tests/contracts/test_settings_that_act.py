"""Every setting of a method does something: to a batch, weights, a figure, or to what chooses the best.

Choices and switches do so in each method that reads them; numbers of a group that methods share, in one of
them at least. A setting that acts beside another one alone says so: `needs` of `mmgl_tf.flags.setting`.
"""

import dataclasses
import functools

import numpy as np
import pytest

from mmgl_tf.flags.config import GROUPS, to_flat, unmet
from mmgl_tf.flags.methods import SHARED, groups_read
from mmgl_tf.training.checkpoints import collect
from tests.contracts.cases import EPOCHS, METHODS, case, take_step
from tests.contracts.course import course, take_course

pytestmark = pytest.mark.slow


def readers(group):
    return [method for method in METHODS if group in groups_read(method)]


def fields(group):
    return dataclasses.fields(GROUPS[group])


# (method, field) of each choice and switch; (methods, field) of each number.
CHOICES = [
    (method, entry)
    for method in METHODS
    for group in groups_read(method)
    for entry in fields(group)
    if entry.metadata["choices"] or isinstance(entry.default, bool)
]
NUMBERS = [
    (methods, entry)
    for group in (*SHARED, *METHODS)
    for methods in [readers(group)]
    for entry in fields(group)
    if isinstance(entry.default, int | float) and not isinstance(entry.default, bool)
]


def others(entry, value):
    """Values that a setting might have instead, likely ones first."""
    if entry.metadata["choices"]:
        return [choice for choice in entry.metadata["choices"] if choice != value]
    if isinstance(value, bool):
        return [not value]
    low, high = entry.metadata["low"], entry.metadata["high"]
    if isinstance(value, int):
        near = [2 * value, value // 2, value + 1, value - 1]
    else:
        # Of few images none may meet a change of odds that is small.
        odds = [0.0, 1.0][:: 1 if value > 0.5 else -1] if (low, high) == (0.0, 1.0) else []
        near = [*odds, value / 2, 2 * value, 0.5, 1.0]
    return [v for v in near if v != value and (low is None or v >= low) and (high is None or v <= high)]


@functools.cache
def usual(method, needs):
    """The course of a method with what a setting needs, {setting: value} as pairs."""
    return take_course(case(method, **dict(needs))) if needs else course(method)


def acts(method, entry, value):
    """What another value of a setting changes first, or "" for nothing.

    Raises:
        ValueError: the method does not take the value.
    """
    lacking = unmet(entry.name, to_flat(case(method).config))
    needs = {name: allowed[0] for name, allowed in lacking.items()}
    plain, other = case(method, **needs), case(method, **needs | {entry.name: value})
    if any(differ(plain.batch(step), other.batch(step)) for step in range(EPOCHS)):
        return "batch"
    if len(plain.stages) > 1:  # of so few epochs each has one, whatever its share
        longer = needs | {"epochs": 4 * len(plain.stages)}
        if case(method, **longer).stages != case(method, **longer | {entry.name: value}).stages:
            return "stages"
    if (plain.held_out() is None) != (other.held_out() is None) or differ(plain.held_out(), other.held_out()):
        return "held-out batch"
    model, taken = other.model(), usual(method, tuple(needs.items()))
    steps = (
        ("weights", lambda: None, taken.start, {}),
        ("first step", lambda: take_step(model, other.batch(0)), taken.stepped, taken.figures),
        ("end of an epoch", model.after_epoch, taken.ended, {}),
        ("second step", lambda: take_step(model, other.batch(1)), taken.stepped_again, taken.figures_again),
    )
    for what, take, state, figures in steps:
        if differ(take() or {}, figures) or differ(collect(model), state):
            return what
    if differ(saved(model), saved(taken.model)):
        return "saved weights"
    if getattr(model, "score_name", str)() != getattr(taken.model, "score_name", str)():
        return "score"
    return ""


def saved(model):
    """{name: array} of what a run saves for others to start from."""
    layers = model.saved_layers()
    return {f"{name}/{w.path}": w.numpy() for name, layer in layers.items() for w in layer.weights}


def differ(first, second):
    """Whether two dicts of numbers are of different names, shapes, or values beyond rounding."""
    first, second = first or {}, second or {}
    if set(first) != set(second):
        return True
    return any(
        np.shape(first[name]) != np.shape(second[name])
        or not np.allclose(first[name], second[name], rtol=1e-5, atol=1e-7, equal_nan=True)
        for name in first
    )


def named(values):
    return [f"{method}-{entry.name}" for method, entry in values]


@pytest.mark.parametrize(("method", "entry"), CHOICES, ids=named(CHOICES))
def test_every_choice_acts(method, entry):
    value = getattr(course(method).model.options, entry.name)
    for other in others(entry, value):
        assert acts(method, entry, other), f"--{entry.name}={other} does what {value} does"


@pytest.mark.parametrize(("methods", "entry"), NUMBERS, ids=[entry.name for _, entry in NUMBERS])
def test_every_number_acts(methods, entry):
    refused = []
    for method in methods:
        value = getattr(course(method).model.options, entry.name)
        for other in others(entry, value):
            try:
                if acts(method, entry, other):
                    return
            except ValueError as error:
                refused.append(str(error))
                continue
            break  # a value that is taken, and does nothing here
    pytest.fail(f"--{entry.name} does nothing in {methods}; refused: {refused}")
