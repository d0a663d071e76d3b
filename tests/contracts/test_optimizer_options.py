"""What a method asks of its optimiser, every optimiser that may be chosen takes."""

import dataclasses

import pytest

from mmgl_tf.modes.model import METHODS as CLASSES
from mmgl_tf.modes.model import make_optimizer
from mmgl_tf.optimizers import OPTIMIZERS
from mmgl_tf.training.step.model import TrainingModel
from tests.contracts.cases import METHODS, SETTINGS, case

ASKING = [m for m in METHODS if CLASSES[m].optimizer_options is not TrainingModel.optimizer_options]


@pytest.mark.parametrize("method", ASKING)
def test_every_optimizer_takes_what_a_method_asks_for(method):
    recipe = "native" if hasattr(SETTINGS[method], "RECIPES") else "common"
    of = case(method, recipe)
    model = of.model()
    for name in OPTIMIZERS:
        chosen = dataclasses.replace(of.config.optimization, optimizer=name)
        made = make_optimizer(dataclasses.replace(of.config, optimization=chosen), model, 1)
        assert isinstance(made, OPTIMIZERS[name])
