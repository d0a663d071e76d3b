import os

# Tests say on one core what they say on many; two workers then share the machine without fighting.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")

import pytest


@pytest.fixture(autouse=True)
def _leave_no_global_state():
    """Precision policies are global in Keras; a test that sets one must not reach the next."""
    yield
    import sys

    if "keras" in sys.modules:
        sys.modules["keras"].mixed_precision.set_global_policy("float32")
