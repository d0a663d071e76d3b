"""Settings of BYOL."""

from dataclasses import dataclass
from typing import ClassVar

from mmgl_tf.flags.setting import setting


@dataclass(frozen=True)
class Byol:
    """BYOL: predict a slowly moving copy of the network, without negatives (Grill et al. 2020)."""

    TITLE: ClassVar = "BYOL"
    COST: ClassVar = 2.7
    READS: ClassVar = ("views", "unlike_views", "two_views")
    TINY: ClassVar = {"byol_hidden_size": 16, "byol_embedding_size": 8}
    PRESETS: ClassVar = {
        "demo": {"byol_hidden_size": 512, "byol_embedding_size": 128},
        "smoke": {"byol_hidden_size": 512, "byol_embedding_size": 128},
    }
    RECIPES: ClassVar = {
        "native": {
            "optimizer": "lars",
            "base_learning_rate": 0.45,
            "weight_decay": 1e-6,
            "wd_on_bn": False,
            "wd_on_bias": False,
            "lr_schedule": "offset",
            "warmup_share": 0.1,
            "clip_norm": 0.0,
        }
    }

    byol_momentum: float = setting(
        0.99,
        "momentum of the target network at the first step; it rises to 1 along half a cosine",
        low=0.0,
        high=1.0,
        paper="silent; BYOL's authors: 0.99 for 100 epochs, 0.996 for 1000",
    )
    byol_hidden_size: int = setting(
        4096, "width of the hidden layers of projector and predictor", low=2, paper="silent"
    )
    byol_embedding_size: int = setting(
        256, "width of the outputs of projector and predictor", low=8, paper="silent"
    )
