import os

# Tests say on one core what they say on many; two workers then share the machine without fighting.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")

import pytest


@pytest.fixture(autouse=True)
def _leave_no_global_state():
    """Precision is global in Keras and determinism in TensorFlow; what a test sets must not reach the next.

    Without determinism some operations work that a later test needs, such as the clock.
    """
    yield
    import sys

    if "tensorflow" in sys.modules:  # it has no public way back
        sys.modules["tensorflow.python.framework.config"].disable_op_determinism()
    if "keras" in sys.modules:
        config = sys.modules["keras"].config
        config.set_floatx("float32")
        config.set_dtype_policy("float32")


def pytest_collection_modifyitems(items):
    """The longest files first, so that two workers end together; see `tests.measure_durations`."""
    import json

    from tests.fast_files import DURATIONS, unit_of

    seconds = json.loads(DURATIONS.read_text())["seconds"]
    items.sort(key=lambda item: -seconds.get(unit_of(item.path), 0.0))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Which tests one worker gets; see `tests.shares`."""
    from tests.shares import SharesScheduling

    return SharesScheduling(config, log)
