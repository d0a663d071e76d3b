"""The first steps of each method, eager and taken once a process: several contracts look at them."""

import functools
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from mmgl_tf.training.checkpoints import collect
from tests.contracts.cases import case, take_step


@dataclass(frozen=True, eq=False)
class Course:
    """Two steps with an epoch's end between them.

    Attributes:
        method: its name.
        start: state before the first step, {name: array} as `collect` returns it.
        stepped: after it.
        ended: after the end of that epoch.
        stepped_again: after the second step.
        moves: {name: value} that the method's `after_update` returned for the variables in the first step.
        trained: names of what the optimiser moves, in each step: what the losses of its batch reach, and
            `rate_factors` does not freeze.
        figures: of the first step, {name: value}.
        figures_again: of the second.
        model: as it is after all that.
    """

    method: str
    start: dict
    stepped: dict
    ended: dict
    stepped_again: dict
    moves: dict
    trained: tuple
    figures: dict
    figures_again: dict
    model: object


@functools.cache
def course(method):
    """The course of a method."""
    return take_course(case(method))


def take_course(of, first=0):
    """The course of a `Case`; `first` is the number of its first step."""
    model = of.model()
    model.optimizer.iterations.assign(first)
    batches = of.batch(first), of.batch(first + 1)
    start, moves = collect(model), _noted_moves(model)
    trained = [_moving(model, batches[0], first)]
    figures = take_step(model, batches[0])
    stepped, first_moves = collect(model), dict(moves)
    model.after_epoch()
    ended = collect(model)
    trained.append(_moving(model, batches[1], first + 1))
    again = take_step(model, batches[1])
    return Course(
        of.method,
        start,
        stepped,
        ended,
        collect(model),
        first_moves,
        tuple(trained),
        figures,
        again,
        model,
    )


def _noted_moves(model):
    """A dict that after each step holds what `after_update` returned: {name as in `collect`: array}."""
    after_update, noted = model.after_update, {}

    def noting(outputs, step):
        pairs = after_update(outputs, step)
        noted.clear()
        if tf.executing_eagerly():  # the graph of a step has no values yet
            noted.update({f"weight/{variable.path}": np.asarray(value) for variable, value in pairs})
        return pairs

    model.after_update = noting
    return noted


def _moving(model, batch, step):
    """Names of the trained variables that a step reaches and does not freeze."""
    names = {f"weight/{variable.path}" for variable in model.reached_variables(batch)}
    factors = model.rate_factors(np.int64(step))
    frozen = set()
    for name in names:
        fitting = [prefix for prefix in factors if name.removeprefix("weight/").startswith(prefix)]
        if fitting and float(factors[max(fitting, key=len)]) == 0.0:
            frozen.add(name)
    return names - frozen
