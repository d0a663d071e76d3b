"""What each figure would be for a network that knows nothing."""

import math


def chance_values(config):
    """Chance values by metric name.

    The permutation loss is that of a uniform soft permutation without Gumbel noise; noise raises it. The
    cycle contrast is that of equal embeddings (spec A6).

    Args:
        config: `flags.config.Config`.

    Returns:
        {slash-grouped name: float}.
    """
    options = config.mmgl
    stripes, queries = options.num_stripes, options.num_stripes * config.optimization.batch_size
    rank_scale = 1.0 if options.rank_scale == "raw" else 1.0 / (stripes - 1) ** 2
    per_axis = {"matrix": (1 - 1 / stripes) / stripes, "rank": (stripes**2 - 1) / 12 * rank_scale}
    per_axis["forward"] = per_axis["rank"]
    terms = stripes**2 if options.perm_loss == "matrix" else stripes
    permutation = per_axis[options.perm_loss] * (terms if options.perm_reduction == "sum" else 1)
    negatives = 2 * queries - 1 if options.pcc_negatives == "both_sets" else queries
    chance = {
        "loss/permutation": permutation,
        "loss/part": math.log(stripes),
        "loss/cycle_contrast": math.log(negatives),
        "matching/part_mass": 1 / stripes,
        "matching/slot_mass": 1 / stripes,
        "matching/identity_lift": 1.0,
    }
    for prefix in ("", "validation/"):
        for suffix in ("", "_visible", "_infrared"):
            chance[f"{prefix}accuracy/permutation_whole{suffix}"] = 1 / math.factorial(stripes)
            chance[f"{prefix}accuracy/permutation_stripe{suffix}"] = 1 / stripes
            chance[f"{prefix}accuracy/part{suffix}"] = 1 / stripes
    return chance
