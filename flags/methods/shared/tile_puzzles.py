"""What methods share that put the tiles of an image in order: jigsaw and PSL-style."""

from dataclasses import dataclass
from typing import ClassVar

from mmgl_tf.flags.setting import setting


@dataclass(frozen=True)
class TilePuzzles:
    """Tile puzzles: an image's tiles, shuffled, and the layer that reads each of them."""

    # Jigsaw and PSL-style say these as their own.
    TINY: ClassVar = {"jigsaw_permutations": 4, "jigsaw_hidden_size": 8}
    PRESETS: ClassVar = {
        "demo": {"jigsaw_hidden_size": 128, "validation_permutations": 2},
        "smoke": {"jigsaw_hidden_size": 128, "validation_permutations": 1},
    }
    RECIPES: ClassVar = {
        "native": {
            "base_learning_rate": 0.1,
            "nesterov": False,
            "weight_decay": 1e-4,
            "wd_on_bn": False,
            "lr_schedule": "step",
            "milestone_shares": (0.3, 0.6, 0.9),
            "warmup_share": 0.05,
            "warmup_start": 0.25,
            "clip_norm": 0.0,
        }
    }

    jigsaw_permutations: int = setting(
        64,
        "number of tile orders to tell apart, K, chosen for large Hamming distances",
        low=2,
        high=1000,
        paper="silent",
    )
    jigsaw_tile_share: float = setting(
        0.875,
        "height and width of a tile, at a random place within its cell, as a share of the cell's: 84x42 of "
        "96x48 pixels in a 288x144 image",
        low=0.5,
        high=1.0,
        paper="silent",
    )
    jigsaw_grey: float = setting(
        0.66, "probability that a visible image is turned grey", low=0.0, high=1.0, paper="silent"
    )
    jigsaw_shared: bool = setting(
        False,
        "tiles of a visible and an infrared image are shuffled alike, as MMGL's stripes are",
        paper="silent",
    )
    jigsaw_hidden_size: int = setting(
        1000, "width of the hidden layer that reads each tile", low=2, paper="silent"
    )

    @staticmethod
    def problems(config):
        """What is wrong with a run's settings, a list of sentences."""
        height, width = config.data.image_height, config.data.image_width
        if height % 3 or width % 3:
            return [
                f"--image_height={height} --image_width={width}: --method={config.run.method} cuts images "
                "into 3x3 cells; use multiples of 48, such as 288 and 144"
            ]
        return []
