"""How common each colour is, and the weights that keep rare ones in sight (Zhang et al., 2016, section 2.2).

NumPy only: computed once for a data set.

Legend: Q bins.
"""

import numpy as np

# Beyond a bin's eight neighbours on the grid of 10 nothing is smoothed: a bin occurs if it, or one beside it,
# has a pixel.
_REACH = 15.0


def colour_prior(counts, bins, sigma=5.0):
    """The share of each bin, smoothed over its neighbours with a Gaussian.

        p_q = sum_r G_qr c_r / sum_r c_r
        G_qr ~ exp(-|bin_q - bin_r|^2 / (2 sigma^2)) within 15 units, else 0;   sum_q G_qr = 1

    Args:
        counts: numbers [Q], pixels in each bin, at least one of them positive.
        bins: float [Q, 2], a and b.
        sigma: in units of a and b; 0 for no smoothing.

    Returns:
        float64 [Q], sums to 1.

    Raises:
        ValueError: no pixel at all, or a negative count or sigma.
    """
    counts, bins = np.asarray(counts, np.float64), np.asarray(bins, np.float64)
    if counts.shape != bins.shape[:1] or (counts < 0).any() or counts.sum() <= 0 or sigma < 0:
        raise ValueError(
            f"colour_prior got counts of shape {counts.shape} with sum {counts.sum():g} for {len(bins)} bins "
            f"and sigma={sigma}; expected a count of at least 0 for each bin, one of them positive, and "
            "sigma of at least 0."
        )
    shares = counts / counts.sum()
    if sigma == 0:
        return shares
    squares = np.square(bins[:, None] - bins).sum(axis=-1)
    kernel = np.where(squares <= _REACH**2, np.exp(-squares / (2.0 * sigma**2)), 0.0)
    return (kernel / kernel.sum(axis=0)) @ shares


def rebalancing_weights(prior, gamma=0.5):
    """The weight of a pixel by its bin: the rarer the heavier, 1 on average (Zhang et al., Eq. 4).

        w_q ~ 1 / ((1 - gamma) p_q + gamma / (number of bins that occur)),   sum_q p_q w_q = 1

    A bin that does not occur, p_q = 0, has no such weight; should a pixel of a person held out fall into it,
    it weighs as the rarest bin that occurs.

    Args:
        prior: float [Q], sums to 1.
        gamma: in [0, 1]; 1 weighs all bins alike, 0 by 1 / p.

    Returns:
        float32 [Q], positive.

    Raises:
        ValueError: gamma out of range.
    """
    if not 0.0 <= gamma <= 1.0:
        raise ValueError(f"rebalancing_weights got gamma={gamma}; expected it in [0, 1], such as 0.5.")
    prior = np.asarray(prior, np.float64)
    occurs = prior > 0
    weights = 1.0 / ((1.0 - gamma) * prior[occurs] + gamma / occurs.sum())
    weights /= prior[occurs] @ weights
    result = np.full(prior.shape, weights.max())
    result[occurs] = weights
    return result.astype(np.float32)


def best_constant(prior, weights):
    """The rebalanced accuracy of always naming the same, best bin: what an accuracy has to beat.

    Args:
        prior: float [Q], the share of each bin.
        weights: float [Q], from `rebalancing_weights`.

    Returns:
        float in (0, 1], the largest p_q w_q.
    """
    return float(np.max(np.asarray(prior, np.float64) * weights))
