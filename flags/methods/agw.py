"""Settings of AGW, and those of its network and its weights, which CAJ has too."""

from dataclasses import dataclass
from typing import ClassVar

from mmgl_tf.flags.setting import setting


@dataclass(frozen=True)
class AgwNetwork:
    """AGW's network: generalised-mean pooling and non-local blocks, of agw and caj."""

    # What is built into the weights, so that looking at a run cannot change it.
    FIXED: ClassVar = ("gem_power", "non_local_width")

    gem_power: float = setting(3.0, "exponent p of AGW's generalised-mean pooling", low=1.0, paper="3")
    non_local_width: int = setting(
        1,
        "inner channels of AGW's non-local blocks",
        low=1,
        paper="1 (as released; half the channels described)",
    )


@dataclass(frozen=True)
class PairWeights:
    """Weights of a triplet's pairs: of the metric losses of agw and caj."""

    triplet_form: str = setting(
        "reference",
        "weights of the pairs in AGW's and CAJ's triplet losses: reference = as released (they vanish at "
        "large distances), stable = a true softmax",
        choices=("reference", "stable"),
        paper="reference",
    )


@dataclass(frozen=True)
class Agw:
    """AGW: weighted triplet, generalised-mean pooling, non-local blocks; nothing of its own."""

    TITLE: ClassVar = "AGW"
    READS: ClassVar = ("triplet", "pair_weights", "agw_network")
    IMAGES: ClassVar = ("flips", "crops", "distortions")
