import dataclasses

import pytest
import tensorflow as tf

from mmgl_tf.backbones import BACKBONES

NARROWER = 4


@pytest.fixture(scope="module", autouse=True)
def _narrow_trunks():
    """A quarter of the channels: contracts are of what a step does, and trunks are most of what it costs."""
    plan = BACKBONES["resnet10"]
    narrow = dataclasses.replace(
        plan,
        widths=tuple(width // NARROWER for width in plan.widths),
        stem_width=plan.stem_width // NARROWER,
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(BACKBONES, "resnet10", narrow)
        yield


@pytest.fixture(autouse=True)
def _as_in_a_run(_leave_no_global_state):
    """Deterministic, as runs are by default: some operations are others then."""
    tf.config.experimental.enable_op_determinism()
