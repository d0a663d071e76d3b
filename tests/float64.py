"""Computing in float64: what is claimed to be the same, however it is computed, is tested there.

In float32, sums in another order part by a thousandth of the way after a few steps of training on one
processor, and by a hundred-thousandth on the next; see "Other processors" in CONTRIBUTING.md.
"""

import contextlib

import keras


def compute_in_float64():
    """All models made from here on compute in float64, trunks, heads and optimisers."""
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")


@contextlib.contextmanager
def in_float64():
    """Models made in this block compute in float64."""
    floatx, policy = keras.config.floatx(), keras.config.dtype_policy()
    compute_in_float64()
    try:
        yield
    finally:
        keras.config.set_floatx(floatx)
        keras.config.set_dtype_policy(policy)
