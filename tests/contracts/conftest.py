import pytest
import tensorflow as tf


@pytest.fixture(autouse=True)
def _as_in_a_run(_leave_no_global_state):
    """Deterministic, as runs are by default: some operations are others then."""
    tf.config.experimental.enable_op_determinism()
