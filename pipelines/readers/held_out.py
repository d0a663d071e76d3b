"""Which identities or images are held out for validation, where the data set does not say."""

import hashlib
from collections.abc import Hashable, Iterable


def held_out(keys: Iterable[Hashable], share: float, salt: str) -> set:
    """Picks a share of the keys by their hashes.

    A hash rather than a random generator, so that the choice depends on nothing but the keys and the
    salt: neither on their order, nor on the version of a library. A key that is added later moves at
    most one other.

    Args:
        keys: identity numbers or paths, distinct.
        share: in [0, 1]; round(share x number of keys) are picked, and at least one out of two or more
            keys unless the share is 0.
        salt: another salt picks others.

    Returns:
        The keys picked, as a set.
    """
    ordered = sorted(keys, key=lambda key: hashlib.sha256(f"{salt}/{key}".encode()).digest())
    count = round(share * len(ordered))
    if share > 0 and len(ordered) >= 2:
        count = max(1, count)
    return set(ordered[:count])
