"""Settings of MMGL."""

from dataclasses import dataclass
from typing import ClassVar

from mmgl_tf.flags.setting import setting

WITH_PERMUTATION = {"permutation": True}
WITH_CONTRAST = {"pcc": True}
WITH_STRIPES = (WITH_CONTRAST, {"part": True})


@dataclass(frozen=True)
class Mmgl:
    """MMGL: the pre-training losses (paper Eqs. 2 to 7)."""

    TITLE: ClassVar = "MMGL"
    IMAGES: ClassVar = ("flips", "crops", "distortions", "held_out_orders")
    TINY: ClassVar = {"part_embedding_size": 8, "gumbel_samples": 2, "sinkhorn_iters": 5}
    PRESETS: ClassVar = {
        "demo": {"part_embedding_size": 128, "validation_permutations": 2},
        "smoke": {"part_embedding_size": 128, "validation_permutations": 1},
    }

    num_stripes: int = setting(6, "horizontal stripes of an image", low=2, paper="6")
    share_permutation: bool = setting(
        True, "stripes of a visible and an infrared image are shuffled alike", paper="true"
    )
    permutation: bool = setting(True, "train on permutation recovery, Eq. 4", paper="true")
    part: bool = setting(True, "train on the part cross-entropy", paper="true")
    pcc: bool = setting(True, "train on the part-aware cycle contrast, Eq. 6", paper="true")
    perm_loss: str = setting(
        "matrix",
        "what Eq. 4 compares: matrix = the permutation matrices, rank = the un-shuffled ranks, forward = the "
        "shuffled ranks",
        choices=("matrix", "rank", "forward"),
        paper="silent",
        needs=WITH_PERMUTATION,
    )
    perm_reduction: str = setting(
        "sum",
        "how the squared errors of one image's permutation are reduced",
        choices=("sum", "mean"),
        paper="silent",
        needs=WITH_PERMUTATION,
    )
    perm_sample_reduce: str = setting(
        "loss",
        "how the Gumbel samples are reduced: loss = mean of the samples' losses, matrix = loss of their "
        "mean matrix",
        choices=("loss", "matrix"),
        paper="silent",
        needs=WITH_PERMUTATION,
    )
    rank_scale: str = setting(
        "raw",
        "scale of the ranks in Eq. 4: raw = 0 to N-1, unit = 0 to 1",
        choices=("raw", "unit"),
        paper="silent",
        needs={"permutation": True, "perm_loss": ("rank", "forward")},
    )
    perm_init_stddev: float = setting(
        0.001,
        "standard deviation of the permutation head's initial weights",
        low=0.0,
        paper="silent",
        at_start=True,
        needs=WITH_PERMUTATION,
    )
    sinkhorn_iters: int = setting(20, "Sinkhorn iterations, Eq. 2", low=1, paper="20", needs=WITH_PERMUTATION)
    sinkhorn_tau: float = setting(
        1.0, "Sinkhorn temperature, Eq. 3", low=1e-3, paper="silent", needs=WITH_PERMUTATION
    )
    gumbel_samples: int = setting(
        10, "Gumbel samples per image, Eq. 3", low=1, paper="10", needs=WITH_PERMUTATION
    )
    gumbel_scale: float = setting(
        1.0,
        "Gumbel noise factor in training; evaluation is noise-free",
        low=0.0,
        paper="silent",
        needs=WITH_PERMUTATION,
    )
    part_embedding_size: int = setting(
        256, "size of a stripe's embedding", low=8, paper="256", needs=WITH_STRIPES
    )
    pcb_shared: bool = setting(
        True,
        "all stripe slots share one projection; false = one each",
        paper="silent (authors' code: one each)",
        needs=WITH_STRIPES,
    )
    pcb_bn: bool = setting(
        True,
        "batch norm after the stripes' projection",
        paper="silent (authors' code: likely)",
        needs=WITH_STRIPES,
    )
    pcb_relu: bool = setting(False, "ReLU after the stripes' projection", paper="silent", needs=WITH_STRIPES)
    part_ce_input: str = setting(
        "pre",
        "what the part classifier reads: a stripe's embedding before (pre) or after (post) normalisation to "
        "unit length",
        choices=("pre", "post"),
        paper="silent",
        needs={"part": True},
    )
    nce_tau: float = setting(0.07, "contrast temperature, Eq. 6", low=1e-3, paper="0.07", needs=WITH_STRIPES)
    snn_tau: float = setting(
        0.0, "soft-neighbour temperature, Eq. 5; 0 = nce_tau", low=0.0, paper="0.07", needs=WITH_STRIPES
    )
    snn_renorm: bool = setting(
        True,
        "soft neighbours are normalised before they are compared",
        paper="true (cosine)",
        needs=WITH_CONTRAST,
    )
    pcc_negatives: str = setting(
        "cross",
        "negative sets of Eq. 6",
        choices=("cross", "both_sets", "forward_only"),
        paper="ambiguous",
        needs=WITH_CONTRAST,
    )
    pcc_backward: str = setting(
        "retrieved",
        "what the backward step of Eq. 5 starts from: the stripe retrieved by the forward step, or the query",
        choices=("retrieved", "query"),
        paper="retrieved (text), query (figure)",
        needs=WITH_CONTRAST,
    )
    pcc_exclude_self: bool = setting(
        False,
        "the backward step may not return the query itself",
        paper="false (figure)",
        needs=WITH_CONTRAST,
    )
    pcc_universe: str = setting(
        "batch",
        "stripes that the forward step searches: those of the batch, of the paired image, or (other_slots) "
        "those of the batch in other slots than the query's",
        choices=("batch", "pair", "other_slots"),
        paper="batch (text)",
        needs={"pcc": True, "pcc_own_set": "image"},
    )
    pcc_own_set: str = setting(
        "image",
        "what the backward step returns to: image = the stripes of the query's image; part = the stripes of "
        "the query's body part in the batch, among which the forward step then looks too",
        choices=("image", "part"),
        paper="image",
        needs=WITH_CONTRAST,
    )
    pcc_centre: str = setting(
        "none",
        "what is subtracted from stripes before they are contrasted: nothing, or the mean of their slot",
        choices=("none", "slot"),
        paper="none",
        needs=WITH_CONTRAST,
    )
    pcc_symmetric: bool = setting(
        True,
        "queries of the cycle contrast are of both modalities; false = visible ones only",
        paper="silent",
        needs=WITH_CONTRAST,
    )
    pcc_stopgrad: str = setting(
        "none",
        "what the cycle contrast treats as constant: none = nothing, universe = the stripes that the "
        "forward step searches, backward = what the backward step returns",
        choices=("none", "universe", "backward"),
        paper="none",
        needs=WITH_CONTRAST,
    )
    pcc_start_epoch: int = setting(
        0, "epoch from which on the cycle contrast acts", unit="epochs", low=0, paper="0", needs=WITH_CONTRAST
    )
    pcc_weight: float = setting(
        0.2, "weight of the cycle contrast, lambda of Eq. 7", low=0.0, paper="0.2", needs=WITH_CONTRAST
    )
    part_weight: float = setting(
        1.0, "weight of the part cross-entropy", low=0.0, paper="1 (inferred)", needs={"part": True}
    )
    select_metric: str = setting(
        "whole",
        "accuracy on held-out images that picks the best encoder: whole permutations, or single stripes",
        choices=("whole", "stripe"),
        paper="silent",
        needs=WITH_PERMUTATION,
    )

    @staticmethod
    def problems(config):
        """What is wrong with a run's settings, a list of sentences."""
        problems, own, height = [], config.mmgl, config.data.image_height
        if height % 16 == 0 and (height // 16) % own.num_stripes:
            rows = height // 16
            fitting = [n for n in range(2, rows + 1) if rows % n == 0]
            problems.append(
                f"--num_stripes={own.num_stripes} does not divide the {rows} rows of the feature map of a "
                f"{height}-pixel image; use one of {', '.join(map(str, fitting))}, or another --image_height"
            )
        if not (own.permutation or own.part or own.pcc):
            problems.append("--nopermutation --nopart --nopcc leave no loss to train; keep at least one")
        return problems

    @staticmethod
    def obstacle_to_xla(options):
        """Beyond six stripes SciPy recovers the order."""
        count = options.num_stripes
        return (
            f"with --num_stripes={count} SciPy recovers the order, which XLA cannot compile"
            if count > 6
            else ""
        )
