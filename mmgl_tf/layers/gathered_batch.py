"""Where layers see the batch of all replicas already: there batch norm has nobody left to ask."""

import contextlib
import contextvars

_GATHERED = contextvars.ContextVar("gathered_batch", default=False)


@contextlib.contextmanager
def gathered_batch():
    """Layers that are called, or traced, in this block see the global batch, the same on all replicas."""
    token = _GATHERED.set(True)
    try:
        yield
    finally:
        _GATHERED.reset(token)


def batch_is_gathered():
    """Whether such a block is open."""
    return _GATHERED.get()
