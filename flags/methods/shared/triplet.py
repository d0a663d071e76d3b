"""What fine-tuning methods with a triplet loss share."""

from dataclasses import dataclass

from mmgl_tf.flags.setting import setting


@dataclass(frozen=True)
class Triplet:
    """Triplet: the metric loss of one_stream, two_stream and agw."""

    triplet_weight: float = setting(1.0, "weight of the triplet loss", low=0.0, paper="1")


@dataclass(frozen=True)
class BatchHard:
    """Batch-hard triplet: that of one_stream and two_stream."""

    triplet_margin: float = setting(0.3, "margin of the batch-hard triplet loss", low=0.0, paper="0.3")
