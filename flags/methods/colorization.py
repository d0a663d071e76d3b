"""Settings of colorization."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from mmgl_tf.flags.setting import setting


@dataclass(frozen=True)
class Colorization:
    """Colorization: the colours of a visible image from its lightness (Zhang et al. 2016)."""

    TITLE: ClassVar = "Colorization"
    COST: ClassVar = 0.7
    READS: ClassVar = ("unseen_stem",)
    IMAGES: ClassVar = ("flips", "crops")
    TINY: ClassVar = {"colorization_hidden_size": 8, "unseen_stem_batches": 1}
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

    colorization_hidden_size: int = setting(
        512, "channels of the colour head's hidden layer", low=2, paper="silent"
    )
    colorization_bins: str = setting(
        "",
        "colour bins: an .npy file with CIE a and b of each, such as the 313 of the method's authors; empty "
        "= those bins of a grid of 10 units that occur in the training images",
        paper="silent",
        at_start=True,
    )
    colorization_neighbours: int = setting(
        5,
        "nearest bins that a pixel's colour is spread over; the authors' code has 10",
        low=1,
        paper="silent",
    )
    colorization_rebalance: float = setting(
        0.5,
        "share of the uniform distribution that is mixed into the prior whose inverse weighs the bins: 0 = "
        "by the prior alone, 1 = all bins weigh alike",
        low=0.0,
        high=1.0,
        paper="silent (its authors have 0.5)",
        at_start=True,
    )
    colorization_infrared: str = setting(
        "skip",
        "what the infrared stem is trained on, as infrared images have no colour: skip = on nothing; both = "
        "on the lightness of visible images, as the visible stem is",
        choices=("skip", "both"),
        paper="silent",
    )

    @staticmethod
    def problems(config):
        """What is wrong with a run's settings, a list of sentences."""
        bins = config.colorization.colorization_bins
        if bins and not Path(bins).is_file():
            return [f"--colorization_bins={bins}: there is no such file; expected an .npy file, or nothing"]
        return []
