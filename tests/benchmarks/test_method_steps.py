from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks.method_steps import configuration, step_of
from mmgl_tf.flags.config import defaults, to_flat
from mmgl_tf.pretraining import PRETRAINING


def test_what_is_stated_for_the_default_batch_grows_with_the_batch():
    def queue(batch):
        arguments = SimpleNamespace(backbone="resnet50", batch=batch)
        return to_flat(configuration("swav", arguments, 288, 144))["swav_queue_size"]

    usual = defaults()
    assert queue(usual["batch_size"]) == usual["swav_queue_size"]
    assert queue(8) == 640, "a multiple of the 16 images of a step"


@pytest.mark.slow
@pytest.mark.parametrize("trunk", [True, False], ids=["whole", "heads"])
@pytest.mark.parametrize("method", PRETRAINING)
def test_every_method_takes_a_step_with_its_trunk_and_without(method, trunk):
    arguments = SimpleNamespace(backbone="resnet10", batch=4)
    assert np.isfinite(step_of(configuration(method, arguments, 96, 48), trunk)())
