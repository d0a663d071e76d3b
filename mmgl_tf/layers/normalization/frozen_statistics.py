"""A forward pass that leaves no trace: batch norm uses batch statistics, but its moving ones stay frozen."""

import contextlib
import contextvars

_FROZEN = contextvars.ContextVar("frozen_statistics", default=False)


@contextlib.contextmanager
def frozen_statistics():
    """Layers that are called, or traced, in this block do not move their moving statistics."""
    token = _FROZEN.set(True)
    try:
        yield
    finally:
        _FROZEN.reset(token)


def statistics_are_frozen():
    """Whether a block of `frozen_statistics` is open."""
    return _FROZEN.get()
