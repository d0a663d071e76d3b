"""Settings of colorization."""

from dataclasses import dataclass
from typing import ClassVar

from mmgl_tf.flags.setting import setting


@dataclass(frozen=True)
class Colorization:
    """Colorization: the colours of a visible image from its lightness (Zhang et al. 2016)."""

    TITLE: ClassVar = "Colorization"
    READS: ClassVar = ("unseen_stem",)
    TINY: ClassVar = {"colorization_hidden_size": 8, "unseen_stem_batches": 2}
    PRESETS: ClassVar = {
        "demo": {"colorization_hidden_size": 128, "unseen_stem_batches": 40},
        "smoke": {"colorization_hidden_size": 128, "unseen_stem_batches": 5},
    }
    RECIPES: ClassVar = {
        "native": {
            "optimizer": "adam",
            "learning_rate": 3e-4,
            "adam_beta_2": 0.99,
            "weight_decay": 1e-3,
            "lr_schedule": "offset",
            "warmup_share": 0.0,
            "clip_norm": 0.0,
        }
    }

    colorization_hidden_size: int = setting(512, "channels of the head", low=2, paper="silent")
    colorization_bins: str = setting(
        "",
        "the colours that are told apart: an .npy file with a and b of each, such as the 313 of the method's "
        "authors; empty = a grid of 10 units, as far as the training images reach",
        paper="silent",
    )
    colorization_neighbours: int = setting(
        5, "bins that a colour is spread over; its authors' code has 10", low=1, paper="silent"
    )
    colorization_rebalance: float = setting(
        0.5,
        "share of the even distribution in the prior by which rare colours weigh more: 0 = by the prior "
        "alone, 1 = all weigh alike",
        low=0.0,
        high=1.0,
        paper="silent (its authors have 0.5)",
    )
    colorization_infrared: str = setting(
        "skip",
        "infrared images have no colour and are not shown: skip = nothing goes through their stem; both = "
        "the lightness of visible images goes through both stems",
        choices=("skip", "both"),
        paper="silent",
    )
