"""Every figure that is reported is declared, with title and chance; every declared one is reported."""

import math

import pytest
import tensorflow as tf

from mmgl_tf.figures import AXES, HAS_NONE
from mmgl_tf.finetuning import FINETUNING
from mmgl_tf.flags.config import options
from mmgl_tf.modes.model import METHODS as CLASSES
from mmgl_tf.pretraining import PRETRAINING
from mmgl_tf.training.checkpoints import restore
from tests.contracts.cases import METHODS, case
from tests.contracts.course import course

# Of the step itself, see `mmgl_tf.figures.OF_EVERY_RUN`.
OF_THE_STEP = {"loss/total", "gradient/norm"}
SOURCES = ("step", "held_out", "probe", "search")


def own_figures(of):
    return CLASSES[of.method].figures(options(of.config), of.material.plan)


def relatives(figure):
    """The names that a figure stands for."""
    return {figure.name, f"{figure.name}_visible", f"{figure.name}_infrared", f"validation/{figure.name}"}


@pytest.fixture
def eagerly():
    """Nothing is traced: a look or two would not pay for it."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


def step_figures(of, model):
    """Names of the figures of a step in each stage of the run."""
    found = [model.loss_terms(of.batch(step), tf.constant([3, 0])) for step in of.stages]
    return [{f"loss/{term}" for term in terms} | set(measures) for terms, measures in found]


@pytest.mark.parametrize("method", METHODS)
def test_the_figures_of_a_step_are_those_declared(method):
    of, taken = case(method), course(method)
    declared = {figure.name for figure in own_figures(of) if figure.source == "step"}
    seen = step_figures(of, taken.model)
    assert set.union(*seen) == declared
    assert set(taken.figures) - OF_THE_STEP == seen[0]
    terms = {f"loss/{term}" for term in taken.model.term_weights}
    assert terms == {name for name in declared if name.startswith("loss/")}


@pytest.mark.parametrize("method", PRETRAINING)
def test_the_figures_of_held_out_images_are_those_declared(method):
    of, model = case(method), course(method).model
    declared = {figure.name for figure in own_figures(of) if figure.held_out}
    measured = set.union(*(set(model.test_step(of.held_out(step))) for step in of.stages))
    assert measured == {f"{name}_{modality}" for name in declared for modality in model.modalities}
    assert not model.score_name() or model.score_name() in declared


@pytest.mark.usefixtures("eagerly")
@pytest.mark.filterwarnings(
    "ignore:Even though the `tf.config.experimental_run_functions_eagerly`"
)  # as meant
@pytest.mark.parametrize("method", METHODS)
def test_the_figures_of_a_look_are_those_declared(method):
    """Of the probe in pre-training, of the search for identities in fine-tuning."""
    of, model = case(method), course(method).model
    source = "search" if method in FINETUNING else "probe"
    declared = {figure for figure in model.shown if figure.source == source}
    seen = set(of.material.probe(model, 0)())
    assert not seen - set().union(*map(relatives, declared))
    assert not {figure.name for figure in declared if not relatives(figure) & seen}


@pytest.mark.parametrize("method", METHODS)
def test_every_figure_says_how_it_is_called_drawn_and_compared(method):
    taken = course(method)
    shown = taken.model.shown
    assert set(own_figures(case(method))) <= set(shown)
    for figure in shown:
        assert figure.title.strip() and figure.axis in AXES and figure.source in SOURCES, figure
        assert figure.chance is HAS_NONE or math.isfinite(figure.chance), figure
        assert figure.axis != "share" or figure.chance is HAS_NONE or 0.0 <= figure.chance <= 1.0, figure
    # The progress bar shows those of a step.
    labels = {
        "name": [figure.name for figure in shown],
        "title": [figure.title for figure in shown],
        "short": [figure.short for figure in shown if figure.short and figure.name in taken.figures],
    }
    for what, said in labels.items():
        assert len(set(said)) == len(said), f"figures that share their {what}: {sorted(said)}"


@pytest.mark.parametrize("method", PRETRAINING)
def test_the_score_is_a_number_of_held_out_images(method):
    of, taken = case(method), course(method)
    restore(taken.model, taken.stepped_again)
    logs = {f"val_{name}": value for name, value in taken.model.test_step(of.held_out(of.stages[-1])).items()}
    score = of.material.score(taken.model)(logs)
    assert score is None if not taken.model.score_name() else 0.0 <= score <= 1.0
