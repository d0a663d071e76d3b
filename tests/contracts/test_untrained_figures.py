"""An untrained network is at the chance that each figure states.

Images of noise, each view drawn by itself, say nothing of a target or of another view: accuracies are as of a
blind guess. A loss has its chance where outputs are flat: all zero, or what a network makes of blank images,
of which nothing but zeros leaves the first layer.
"""

import math

import numpy as np
import pytest
import tensorflow as tf

from mmgl_tf.figures import HAS_NONE
from mmgl_tf.pretraining import PRETRAINING
from mmgl_tf.training.checkpoints import restore
from tests.contracts.cases import METHODS, PAIRS, case, with_images
from tests.contracts.course import course

# Images are guessed independently of each other. Few batches find gross mistakes, many find small ones.
BATCHES = [4, pytest.param(32, marks=pytest.mark.slow)]
SPREADS = 3.0
# Losses may draw noise of their own, and are means over so many draws.
DRAWS, NEAR, ALMOST = 6, 0.1, 0.05


def untrained(method):
    """(case, model that has taken no step)."""
    taken = course(method)
    restore(taken.model, taken.start)
    return case(method), taken.model


def stages(wanted):
    """(method, first step of a stage) of each stage of some methods."""
    return [(method, step) for method in wanted for step in case(method).stages]


def chance_of(model, found, sources, shares):
    """{name: chance} of those figures found that have one and are shares, or are none."""
    return {
        figure.name: figure.chance
        for figure in model.shown
        if figure.source in sources
        and (figure.axis == "share") == shares
        and figure.name in found
        and figure.chance is not HAS_NONE
    }


def mean_figures(figures_of, count):
    """{name: mean} of a function number -> {name: value}."""
    found = [figures_of(number) for number in range(count)]
    return {name: np.mean([float(figures[name]) for figures in found]) for name in found[0]}


def noisy(method, number):
    """(case of another seed, whose targets are others; function batch -> that batch of noise).

    A network's own noise hangs on an image's row: with the same rows it would be the same in all batches.
    """
    draw = np.random.default_rng(number).standard_normal

    def noise(batch):
        rows = {name: value + 1000 * number for name, value in batch.items() if name == "rows"}
        return with_images(batch, draw) | rows

    return case(method, seed=number), noise


def assert_blind_guesses(found, chance, guesses):
    for name, share in chance.items():
        spread = math.sqrt(share * (1.0 - share) / guesses)
        assert abs(found[name] - share) <= SPREADS * spread, f"{name}: {found[name]:.3f}, chance {share:.3f}"


def figures(losses):
    """{name of a figure: value} of what `losses` returned."""
    terms, measures = losses
    return {f"loss/{name}": value for name, value in terms.items()} | measures


@pytest.mark.parametrize(("method", "stage"), stages(METHODS))
@pytest.mark.parametrize("batches", BATCHES)
def test_accuracies_of_noise_are_blind_guesses(method, stage, batches):
    _, model = untrained(method)

    def guessed(number):
        other, noise = noisy(method, number)
        return figures(model.loss_terms(noise(other.batch(stage)), tf.constant([3, number])))

    found = mean_figures(guessed, batches)
    chance = chance_of(model, found, ("step",), shares=True)
    assert_blind_guesses(found, chance, batches * PAIRS * len(model.modalities))


@pytest.mark.parametrize(("method", "stage"), stages(METHODS))
def test_losses_of_flat_outputs_are_at_chance(method, stage):
    of, model = untrained(method)
    batch = of.batch(stage)

    def near_chance(outputs):
        found = mean_figures(
            lambda number: figures(model.losses(model.joined(outputs), tf.constant([3, number]))), DRAWS
        )
        chance = chance_of(model, found, ("step",), shares=False)
        return {name: found[name] == pytest.approx(value, NEAR, ALMOST) for name, value in chance.items()}

    zeros = {
        name: tf.zeros_like(value) if value.dtype.is_floating else value
        for name, value in model.outputs(batch).items()
    }
    near = near_chance(zeros)
    if not all(near.values()):
        blank = near_chance(model.outputs(with_images(batch, np.zeros)))
        near = {name: near[name] or blank[name] for name in near}
    assert all(near.values()), near


@pytest.mark.slow
@pytest.mark.parametrize(("method", "stage"), stages(PRETRAINING))
@pytest.mark.parametrize("batches", BATCHES)
def test_held_out_accuracies_of_noise_are_blind_guesses(method, stage, batches):
    _, model = untrained(method)
    for mean in model.validation_means.values():
        mean.reset_state()
    # As a validation does: weighted by what each batch has to say, which may be nothing.
    for number in range(batches):
        other, noise = noisy(method, number)
        both = {name: float(mean) for name, mean in model.test_step(noise(other.held_out(stage))).items()}
    names = {figure.name for figure in model.shown if f"{figure.name}_{model.modalities[0]}" in both}
    found = {name: np.mean([both[f"{name}_{m}"] for m in model.modalities]) for name in names}
    chance = chance_of(model, found, ("step", "held_out"), shares=True)
    for name, share in chance.items():
        guesses = sum(model.validation_means[f"{name}_{m}"].sums()[1] for m in model.modalities)
        assert_blind_guesses(found, {name: share}, guesses)
