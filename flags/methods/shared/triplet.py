"""What fine-tuning methods with a triplet loss share."""

from dataclasses import dataclass

from mmgl_tf.flags.setting import setting


@dataclass(frozen=True)
class Triplet:
    """Triplet: the metric loss of one_stream, two_stream and agw."""

    triplet_weight: float = setting(1.0, "weight of the triplet loss", low=0.0, paper="1")


@dataclass(frozen=True)
class BatchHard:
    """Batch-hard triplet: that of the two-stream baseline and of methods built on it."""

    batch_hard_form: str = setting(
        "hinge",
        "the batch-hard triplet loss is a hinge with a margin, or soft: log(1 + exp(difference))",
        choices=("hinge", "soft"),
        paper="hinge",
    )
    batch_hard_features: str = setting(
        "raw",
        "the batch-hard triplet loss compares pooled features as they are, or scaled to unit length",
        choices=("raw", "unit"),
        paper="raw",
    )
    triplet_margin: float = setting(
        0.3,
        "margin of the batch-hard triplet loss",
        low=0.0,
        paper="0.3",
        needs={"batch_hard_form": "hinge"},
    )
