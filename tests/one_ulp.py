"""By how much a value moves where its input moves by one ulp of a type.

A ulp ("unit in the last place") is the distance of a number to the next one of its type. What computes in
that type rounds every number by up to half of it, and where it rounds to hangs on the processor. So nothing
that it computes can be asked to be nearer to the exact value than this spread; and of what is much farther
away, the type is not the reason.
"""

import numpy as np

# Digits of the fraction, the leading 1 included.
DIGITS = {"bfloat16": 8, "float16": 11, "float32": 24}


def moved_by_one_ulp(values, dtype, seed):
    """Each value one ulp of a type up or down, by chance.

    Args:
        values: array of any shape; 0 moves by one ulp of 1/2.
        dtype: key of `DIGITS`.
        seed: of the directions.

    Returns:
        float64 array.
    """
    _, exponent = np.frexp(values)
    ulp = np.ldexp(1.0, exponent - DIGITS[dtype])
    return values + ulp * np.random.default_rng(seed).choice([-1.0, 1.0], np.shape(values))


def images_moved_by_one_ulp(batch, dtype, seed):
    """A batch whose images are moved so; its targets stay."""
    return {
        name: moved_by_one_ulp(value, dtype, [seed, number]) if value.ndim == 4 else value
        for number, (name, value) in enumerate(batch.items())
    }


def root_mean_square(differences):
    """Over the first axis."""
    return np.sqrt(np.mean(np.square(differences), axis=0))
