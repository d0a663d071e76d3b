"""Entropy of shares, such as those of singular values or of a softmax. NumPy only."""

import numpy as np


def entropy(shares):
    """-sum p log p in nats along the last axis, with 0 log 0 = 0.

    Args:
        shares: float [..., n], at least 0, that sum to 1 along the last axis.

    Returns:
        float [...] in [0, log n].
    """
    return -np.sum(shares * np.log(np.where(shares > 0.0, shares, 1.0)), axis=-1)
