"""Settings of AGW."""

from dataclasses import dataclass
from typing import ClassVar

from mmgl_tf.flags.setting import setting


@dataclass(frozen=True)
class Agw:
    """AGW: weighted triplet, generalised-mean pooling, non-local blocks."""

    TITLE: ClassVar = "AGW"
    READS: ClassVar = ("triplet",)
    IMAGES: ClassVar = ("flips", "crops", "distortions")
    # What is built into the weights, so that looking at a run cannot change it.
    FIXED: ClassVar = ("gem_power", "non_local_width")

    triplet_form: str = setting(
        "reference",
        "weights of AGW's triplet loss: reference = as released (they vanish at large distances), stable = "
        "a true softmax",
        choices=("reference", "stable"),
        paper="reference",
    )
    gem_power: float = setting(3.0, "exponent p of AGW's generalised-mean pooling", low=1.0, paper="3")
    non_local_width: int = setting(
        1,
        "inner channels of AGW's non-local blocks",
        low=1,
        paper="1 (as released; half the channels described)",
    )
