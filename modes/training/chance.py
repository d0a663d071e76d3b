"""What each figure would be for a network that knows nothing."""

import math

import tensorflow as tf

from mmgl_tf.layers.gumbel_sinkhorn import GumbelSinkhorn
from mmgl_tf.losses.permutation import permutation_loss


def chance_values(config):
    """Chance values by metric name.

    The permutation loss is that of pure Gumbel noise, which is above that of a uniform matrix. The cycle
    contrast is that of equal embeddings.

    Args:
        config: `mmgl_tf.flags.config.Config`.

    Returns:
        {slash-grouped name: float}.
    """
    options = config.mmgl
    stripes, queries = options.num_stripes, options.num_stripes * config.optimization.batch_size
    layer = GumbelSinkhorn(
        options.sinkhorn_iters, options.sinkhorn_tau, options.gumbel_samples, options.gumbel_scale
    )
    soft = layer(tf.zeros((200, stripes, stripes)), training=True, seed=tf.constant([0, 0]))
    permutation = permutation_loss(
        soft,
        tf.tile(tf.range(stripes)[None], (200, 1)),
        kind=options.perm_loss,
        reduction=options.perm_reduction,
        sample_reduce=options.perm_sample_reduce,
        rank_scale=options.rank_scale,
    )
    negatives = 2 * queries - 1 if options.pcc_negatives == "both_sets" else queries
    chance = {
        "loss/permutation": float(permutation),
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
