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


def mean_figures(figures_of, count):
    """{name: mean} of a function number -> {name: value}."""
    found = [figures_of(number) for number in range(count)]
    return {name: np.mean([float(figures[name]) for figures in found]) for name in found[0]}


def of_noise(batch, number):
    return with_images(batch, np.random.default_rng(number).standard_normal)


def assert_blind_guesses(found, chance, guesses):
    for name, share in chance.items():
        spread = math.sqrt(share * (1.0 - share) / guesses)
        assert abs(found[name] - share) <= SPREADS * spread, f"{name}: {found[name]:.3f}, chance {share:.3f}"


def figures(losses):
    """{name of a figure: value} of what `losses` returned."""
    terms, measures = losses
    return {f"loss/{name}": value for name, value in terms.items()} | measures


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("batches", BATCHES)
def test_accuracies_of_noise_are_blind_guesses(method, batches):
    of, model = untrained(method)
    chance = {f.name: f.chance for f in model.shown if f.source == "step" and f.axis == "share" and f.chance}
    found = mean_figures(
        lambda number: figures(
            model.loss_terms(of_noise(of.batch(number), number), tf.constant([3, number]))
        ),
        batches,
    )
    assert_blind_guesses(found, chance, batches * PAIRS * len(model.modalities))


@pytest.mark.parametrize("method", METHODS)
def test_losses_of_flat_outputs_are_at_chance(method):
    of, model = untrained(method)
    chance = {f.name: f.chance for f in model.shown if f.source == "step" and f.axis != "share"}
    chance = {name: value for name, value in chance.items() if value is not HAS_NONE}
    batch = of.batch()

    def at_chance(outputs):
        found = mean_figures(
            lambda number: figures(model.losses(model.joined(outputs), tf.constant([3, number]))), DRAWS
        )
        return {name for name in chance if found[name] == pytest.approx(chance[name], NEAR, ALMOST)}

    zeros = {
        name: tf.zeros_like(value) if value.dtype.is_floating else value
        for name, value in model.outputs(batch).items()
    }
    near = at_chance(zeros)
    if near != set(chance):
        near |= at_chance(model.outputs(with_images(batch, np.zeros)))
    assert near == set(chance)


@pytest.mark.parametrize("method", PRETRAINING)
@pytest.mark.parametrize("batches", BATCHES)
def test_held_out_accuracies_of_noise_are_blind_guesses(method, batches):
    of, model = untrained(method)
    batch = of.held_out()

    def judged(number):
        for mean in model.validation_means.values():
            mean.reset_state()
        return model.test_step(of_noise(batch, number))

    found = mean_figures(judged, batches)
    chance = {f.name: f.chance for f in model.shown if f.held_out and f.chance is not HAS_NONE}
    means = {name: np.mean([found[f"{name}_{m}"] for m in model.modalities]) for name in chance}
    assert_blind_guesses(means, chance, batches * PAIRS * len(model.modalities))
