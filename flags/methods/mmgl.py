"""Settings of MMGL."""

from dataclasses import dataclass
from typing import ClassVar

from mmgl_tf.flags.setting import setting


@dataclass(frozen=True)
class Mmgl:
    """MMGL: the pre-training losses (paper Eqs. 2 to 7)."""

    TITLE: ClassVar = "MMGL"
    TINY: ClassVar = {"part_embedding_size": 8, "gumbel_samples": 2, "sinkhorn_iters": 5}
    PRESETS: ClassVar = {
        "demo": {"part_embedding_size": 128, "validation_permutations": 2},
        "smoke": {"part_embedding_size": 128, "validation_permutations": 1},
    }

    num_stripes: int = setting(6, "horizontal stripes", low=2, paper="6")
    permutation: bool = setting(True, "permutation recovery, Eq. 4", paper="true")
    part: bool = setting(True, "part cross-entropy", paper="true")
    pcc: bool = setting(True, "part-aware cycle contrast, Eq. 6", paper="true")
    perm_loss: str = setting(
        "matrix",
        "what Eq. 4 compares: ranks or the matrices",
        choices=("matrix", "rank", "forward"),
        paper="silent",
    )
    perm_reduction: str = setting(
        "sum", "over the axes of one permutation", choices=("sum", "mean"), paper="silent"
    )
    perm_sample_reduce: str = setting(
        "loss",
        "average the losses of the Gumbel samples, or take the loss of their mean matrix",
        choices=("loss", "matrix"),
        paper="silent",
    )
    rank_scale: str = setting(
        "raw",
        "ranks 0..N-1, or scaled to 0..1",
        choices=("raw", "unit"),
        paper="silent",
        needs={"perm_loss": "rank"},
    )
    perm_init_stddev: float = setting(
        0.001, "spread of the permutation head's initial weights", low=0.0, paper="silent"
    )
    sinkhorn_iters: int = setting(20, "Sinkhorn iterations, Eq. 2", low=1, paper="20")
    sinkhorn_tau: float = setting(1.0, "Sinkhorn temperature, Eq. 3", low=1e-3, paper="silent")
    gumbel_samples: int = setting(10, "Gumbel samples per image, Eq. 3", low=1, paper="10")
    gumbel_scale: float = setting(
        1.0, "Gumbel noise factor in training; evaluation is noise-free", low=0.0, paper="silent"
    )
    part_embedding_size: int = setting(256, "size of a stripe's embedding", low=2, paper="256")
    pcb_shared: bool = setting(
        True, "one projection for all stripe slots, or one each", paper="silent (authors' code: one each)"
    )
    pcb_bn: bool = setting(True, "batch norm after the projection", paper="silent (authors' code: likely)")
    pcb_relu: bool = setting(False, "ReLU after the projection", paper="silent")
    part_ce_input: str = setting(
        "pre",
        "part classifier reads the embedding before or after normalisation",
        choices=("pre", "post"),
        paper="silent",
    )
    nce_tau: float = setting(0.07, "contrast temperature, Eq. 6", low=1e-3, paper="0.07")
    snn_tau: float = setting(0.0, "soft-neighbour temperature, Eq. 5; 0 = nce_tau", low=0.0, paper="0.07")
    snn_renorm: bool = setting(
        True, "soft neighbours are normalised before they are compared", paper="true (cosine)"
    )
    pcc_negatives: str = setting(
        "cross", "negative sets of Eq. 6", choices=("cross", "both_sets", "forward_only"), paper="ambiguous"
    )
    pcc_backward: str = setting(
        "retrieved",
        "what the backward step of Eq. 5 starts from",
        choices=("retrieved", "query"),
        paper="retrieved (text), query (figure)",
    )
    pcc_exclude_self: bool = setting(
        False, "the backward step may not return the query itself", paper="false (figure)"
    )
    pcc_universe: str = setting(
        "batch",
        "where the forward step looks; other_slots = not at stripes in the query's own slot",
        choices=("batch", "pair", "other_slots"),
        paper="batch (text)",
    )
    pcc_own_set: str = setting(
        "image",
        "what the backward step returns to: the stripes of the query's image, or its body part in the "
        "batch; then the forward step looks at that body part only",
        choices=("image", "part"),
        paper="image",
    )
    pcc_centre: str = setting(
        "none",
        "what is taken from stripes before they are contrasted: nothing, or the mean of their slot",
        choices=("none", "slot"),
        paper="none",
    )
    pcc_symmetric: bool = setting(True, "queries of both modalities, or visible only", paper="silent")
    pcc_stopgrad: str = setting(
        "none", "what the contrast treats as constant", choices=("none", "universe", "backward"), paper="none"
    )
    pcc_start_epoch: int = setting(0, "epoch that switches the contrast on", unit="epochs", low=0, paper="0")
    pcc_weight: float = setting(0.2, "lambda of Eq. 7, on the contrast", low=0.0, paper="0.2")
    part_weight: float = setting(1.0, "weight of the part cross-entropy", low=0.0, paper="1 (inferred)")
    select_metric: str = setting(
        "whole", "accuracy that picks the best encoder", choices=("whole", "stripe"), paper="silent"
    )
