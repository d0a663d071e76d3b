"""Settings of DDAG."""

from dataclasses import dataclass
from typing import ClassVar

from mmgl_tf.flags.setting import setting


@dataclass(frozen=True)
class Ddag:
    """DDAG: weighted parts of an image, and a graph among the images of a batch (Ye et al., 2020)."""

    TITLE: ClassVar = "DDAG"
    READS: ClassVar = ("triplet", "batch_hard")
    IMAGES: ClassVar = ("flips", "crops", "distortions")
    FIXED: ClassVar = ("ddag_parts", "ddag_residual")
    TINY: ClassVar = {"ddag_heads": 2, "ddag_head_size": 8}
    # Of MMGL's code; DDAG's own has 20,50.
    PRESETS: ClassVar = {
        "paper": {"lr_milestones": "30,50"},
        "demo": {"ddag_head_size": 64},
        "smoke": {"ddag_head_size": 64},
    }

    ddag_parts: int = setting(
        3, "horizontal parts of the feature map that DDAG weighs", low=1, paper="3 (released code)"
    )
    ddag_residual: str = setting(
        "neck",
        "what DDAG adds the parts to: neck = the feature behind the neck, pool = the pooled one before it",
        choices=("neck", "pool"),
        paper="neck (released code)",
    )
    ddag_heads: int = setting(4, "heads of DDAG's graph attention", low=1, high=16, paper="4 (released code)")
    ddag_head_size: int = setting(
        512, "features of each head of DDAG's graph attention", low=1, paper="512 (released code)"
    )
    ddag_dropout: float = setting(
        0.2, "dropout of DDAG's graph attention", low=0.0, high=0.9, paper="0.2 (released code)"
    )

    @staticmethod
    def problems(config):
        """What is wrong with a run's settings, a list of sentences."""
        height, parts = config.data.image_height, config.ddag.ddag_parts
        if parts > height // 16:
            return [
                f"--ddag_parts={parts}: the feature map of a {height}-pixel image has {height // 16} rows; "
                "use at most as many parts, or a larger --image_height"
            ]
        return []
