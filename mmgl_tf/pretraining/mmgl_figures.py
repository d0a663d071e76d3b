"""What MMGL reports, and what each figure would be for a network that knows nothing."""

import math

import tensorflow as tf

from mmgl_tf.figures import HAS_NONE, Figure
from mmgl_tf.layers.gumbel_sinkhorn import GumbelSinkhorn
from mmgl_tf.losses.permutation import permutation_loss
from mmgl_tf.pretraining.monitor.probe import OF_PROJECTIONS


def mmgl_figures(options, plan):
    """The figures of the terms that are on, and of the probe.

    Args:
        options: settings of MMGL.
        plan: `mmgl_tf.training.plan.TrainingPlan`.

    Returns:
        tuple of `Figure`.
    """
    stripes, figures = options.num_stripes, []
    if options.permutation:
        whole, stripe = 1 / math.factorial(stripes), 1 / stripes
        figures += [
            Figure("loss/permutation", "permutation loss", _permutation_chance(options), short="perm"),
            Figure("accuracy/permutation_whole", "whole permutation right", whole, "share", held_out=True),
            Figure(
                "accuracy/permutation_stripe",
                "stripes put right",
                stripe,
                "share",
                short="stripe accuracy",
                held_out=True,
            ),
            Figure("sinkhorn/row_error", "Sinkhorn: worst row error", HAS_NONE, summary=False),
            Figure("probe/kendall_tau", "order recovered, Kendall's tau", 0.0, "free", source="probe"),
        ]
    if options.part:
        figures += [
            Figure("loss/part", "part cross-entropy", math.log(stripes), short="part"),
            Figure("accuracy/part", "stripes classified right", 1 / stripes, "share", held_out=True),
        ]
    if options.part or options.pcc:
        figures += OF_PROJECTIONS
    if options.pcc:
        # The contrast of equal embeddings.
        queries = stripes * plan.batch_size
        negatives = 2 * queries - 1 if options.pcc_negatives == "both_sets" else queries
        figures.append(Figure("loss/cycle_contrast", "cycle contrast", math.log(negatives), short="pcc"))
    figures += [
        *(
            Figure(
                f"matching/{same}_mass",
                f"soft neighbours: same {same}",
                1 / stripes,
                "share",
                panel="soft neighbours: same part, same slot",
                line=same,
                source="probe",
            )
            for same in ("part", "slot")
        ),
        Figure("matching/identity_lift", "soft neighbours: identity lift", 1.0, "free", source="probe"),
        Figure(
            "matching/effective_neighbours",
            "soft neighbours: how many",
            HAS_NONE,
            source="probe",
            summary=False,
        ),
    ]
    return tuple(figures)


def _permutation_chance(options):
    """The loss of pure Gumbel noise, which is above that of a uniform matrix."""
    stripes = options.num_stripes
    layer = GumbelSinkhorn(
        options.sinkhorn_iters, options.sinkhorn_tau, options.gumbel_samples, options.gumbel_scale
    )
    soft = layer(tf.zeros((200, stripes, stripes)), training=True, seed=tf.constant([0, 0]))
    return float(
        permutation_loss(
            soft,
            tf.tile(tf.range(stripes)[None], (200, 1)),
            kind=options.perm_loss,
            reduction=options.perm_reduction,
            sample_reduce=options.perm_sample_reduce,
            rank_scale=options.rank_scale,
        )
    )
