"""Settings of CAJ."""

from dataclasses import dataclass
from typing import ClassVar

from mmgl_tf.flags.setting import setting


@dataclass(frozen=True)
class Caj:
    """CAJ: images whose colours are exchanged, and triplets that count by their square (Ye et al., 2021)."""

    TITLE: ClassVar = "CAJ"
    READS: ClassVar = ("triplet", "pair_weights", "agw_network")
    IMAGES: ClassVar = ("flips", "crops")
    EVALUATED: ClassVar = {dataset: {"flip": True} for dataset in ("sysu", "regdb", "folder")}
    TINY: ClassVar = {"caj_clamp": 2.0, "caj_grey_probability": 1.0}  # squares are small, images few
    PRESETS: ClassVar = {"paper": {"epochs": 100}}

    caj_erase_probability: float = setting(
        0.5, "probability that CAJ erases a box of an image", low=0.0, high=1.0, paper="0.5 (released code)"
    )
    caj_grey_probability: float = setting(
        0.5,
        "probability that an infrared image of which CAJ copies no channel becomes grey",
        low=0.0,
        high=1.0,
        paper="0.5 (released code)",
    )
    caj_square: bool = setting(
        True, "CAJ's triplets count by the square of their gap", paper="true (released code)"
    )
    caj_clamp: float = setting(
        88.0,
        "the largest square that counts in CAJ's triplet, which has no gradient beyond; 0 = none",
        low=0.0,
        paper="88 (released code)",
        needs={"caj_square": True},
    )
    caj_alpha: float = setting(
        1.0,
        "how sharply CAJ's triplet weighs far positives and near negatives; 0 = all alike",
        low=0.0,
        paper="1 (released code)",
    )
    caj_gamma: float = setting(
        1.0, "scale of the gap, or of its square, in CAJ's triplet", low=1e-6, paper="1 (released code)"
    )
    caj_divergence_weight: float = setting(
        0.0,
        "weight of the divergence between the identities that CAJ's streams name",
        low=0.0,
        paper="0 (released code)",
    )
