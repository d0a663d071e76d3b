"""Settings of SimCLR."""

from dataclasses import dataclass
from typing import ClassVar

from mmgl_tf.flags.setting import setting


@dataclass(frozen=True)
class SimClr:
    """SimCLR: views of an image against all other images of the batch (Chen et al. 2020)."""

    TITLE: ClassVar = "SimCLR"
    COST: ClassVar = 2.1
    READS: ClassVar = ("views", "alike_views", "two_views")
    TINY: ClassVar = {"simclr_hidden_size": 16, "simclr_embedding_size": 8}
    PRESETS: ClassVar = {
        "demo": {"simclr_hidden_size": 256},
        "smoke": {"simclr_hidden_size": 256},
    }
    RECIPES: ClassVar = {
        "native": {
            "optimizer": "lars",
            "base_learning_rate": 0.3,
            "weight_decay": 1e-4,
            "wd_on_bn": False,
            "wd_on_bias": False,
            "lr_schedule": "offset",
            "warmup_share": 0.1,
            "clip_norm": 0.0,
        }
    }

    simclr_temperature: float = setting(
        0.2,
        "temperature of the contrastive loss; SimCLR's authors have 0.1 with thousands of images a batch",
        low=1e-3,
        paper="silent",
    )
    simclr_hidden_size: int = setting(2048, "width of the projector's hidden layer", low=2, paper="silent")
    simclr_embedding_size: int = setting(128, "width of the projector's output", low=8, paper="silent")
