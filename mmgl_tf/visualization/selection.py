"""Which queries or people a picture shows: drawn by chance, with the sentence that says so below it.

A picture of hand-picked examples proves nothing, and one that does not say how its examples were picked is
mistaken for the typical case. The draw and its description come from one place, so that they cannot differ.
"""

import numpy as np


def random_choice(candidates, count, *, seed, noun):
    """Draw `count` of `candidates` without replacement; a pure function of its arguments.

    Args:
        candidates: [n], what to draw from: positions of queries, identities; each at most once.
        count: how many; all candidates if there are no more.
        seed: whole number, at least 0.
        noun: what they are, in the plural, e.g. "queries".

    Returns:
        (chosen [min(count, n)] in the order of `candidates`, sentence for the sheet).

    Raises:
        ValueError: nothing to draw from, or nothing asked for.
    """
    candidates = np.asarray(candidates)
    if candidates.ndim != 1 or not len(candidates) or count < 1:
        raise ValueError(
            f"Got {count} to draw from {noun} of shape {candidates.shape}; expected at least one of a list "
            "with at least one entry."
        )
    if count >= len(candidates):
        return candidates, f"all {len(candidates)} {noun}"
    draw = np.random.Generator(np.random.Philox(key=[seed, 0]))
    chosen = np.sort(draw.permutation(len(candidates))[:count])
    return candidates[chosen], f"{count} of {len(candidates)} {noun}, drawn at random with seed {seed}"
