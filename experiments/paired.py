"""Means, spreads and paired differences of a few seeds. Plain Python: these are three numbers."""

import math
import statistics
from dataclasses import dataclass


@dataclass(frozen=True)
class MeanAndDeviation:
    """Mean and standard deviation (n - 1) of n values; the deviation is None for one value.

    Args:
        n: int, at least 1.
        mean: float.
        deviation: float or None.
    """

    n: int
    mean: float
    deviation: float | None


def mean_and_deviation(values):
    """Mean and standard deviation (n - 1), or None of nothing.

    Args:
        values: iterable of float.
    """
    values = list(values)
    if not values:
        return None
    return MeanAndDeviation(
        len(values), statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else None
    )


@dataclass(frozen=True)
class Difference:
    """A paired difference over seeds.

    Args:
        statistics: `MeanAndDeviation` of the differences.
        t: mean over its standard error, n - 1 degrees of freedom; None where the differences do not vary.
        same_sign: how many seeds have the sign of the mean.
    """

    statistics: MeanAndDeviation
    t: float | None
    same_sign: int


def paired_difference(values, partner_values):
    """Difference of two arms, seed by seed: within a seed both see the same data in the same order.

    Args:
        values: {seed: float} of the arm.
        partner_values: {seed: float} of the arm it is compared with.

    Returns:
        `Difference` over the seeds that both have, or None where there are none.
    """
    differences = [values[seed] - partner_values[seed] for seed in values if seed in partner_values]
    found = mean_and_deviation(differences)
    if found is None:
        return None
    t = found.mean / (found.deviation / math.sqrt(found.n)) if found.deviation else None
    return Difference(found, t, sum(d * found.mean > 0 for d in differences))
