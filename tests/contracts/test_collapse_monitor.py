"""An untrained network is far from what the collapse monitor stops; one that sees blank images is not."""

import numpy as np
import pytest
import tensorflow as tf

from mmgl_tf.flags.config import options
from mmgl_tf.pretraining import PRETRAINING
from mmgl_tf.pretraining.monitor.collapse import RULES, judge
from mmgl_tf.training.checkpoints import restore
from tests.contracts.cases import case, with_images
from tests.contracts.course import course

# Times the limit. The tiny cases have 8 images and as few dimensions, so that their rank is small: real
# networks are farther away, see docs/choices.md.
FAR = {rule.figure: 1.4 if "rank" in rule.figure else 3.0 for rule in RULES}


@pytest.fixture(autouse=True)
def eagerly():
    """Nothing is traced: a look or two would not pay for it."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


def looks(method):
    """(figures of a look of the untrained network, of one at blank images)."""
    taken = course(method)
    restore(taken.model, taken.start)
    probe = case(method).material.probe(taken.model, 0)
    seen = probe()
    blank = with_images(probe.batches[0], np.zeros)
    probe.batches = [{name: np.asarray(value) for name, value in blank.items()}]
    return seen, probe()


def rules_of(method):
    """Those whose figure the method reports: none without a projector."""
    of = case(method)
    declared = {figure.name for figure in PRETRAINING[method].figures(options(of.config), of.material.plan)}
    return [rule for rule in RULES if rule.figure in declared]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Even though the `tf.config.experimental_run_functions_eagerly`")
@pytest.mark.parametrize("method", PRETRAINING)
def test_an_untrained_network_passes_and_one_that_sees_nothing_does_not(method):
    rules = rules_of(method)
    if not rules:
        return
    assert {"projection/spread", "projection/effective_rank"} <= {rule.figure for rule in rules}
    seen, blank = looks(method)
    for rule in rules:
        for suffix in ("", "_visible", "_infrared"):
            assert seen[rule.figure + suffix] > FAR[rule.figure] * rule.collapsed, rule.figure + suffix
    assert judge({1: seen, 2: seen}, 0).state != "collapsed"
    assert judge({1: blank, 2: blank}, 0).state == "collapsed"
