"""Settings of SimSiam."""

from dataclasses import dataclass
from typing import ClassVar

from mmgl_tf.flags.setting import setting


@dataclass(frozen=True)
class SimSiam:
    """SimSiam: predict the other view, with a stopped gradient in place of a copy (Chen and He 2021)."""

    TITLE: ClassVar = "SimSiam"
    COST: ClassVar = 2.1
    READS: ClassVar = ("views", "alike_views", "two_views", "residual_start")
    TINY: ClassVar = {"simsiam_embedding_size": 16, "simsiam_hidden_size": 8}
    PRESETS: ClassVar = {
        "demo": {"simsiam_embedding_size": 512, "simsiam_hidden_size": 128},
        "smoke": {"simsiam_embedding_size": 512, "simsiam_hidden_size": 128},
    }
    RECIPES: ClassVar = {
        "native": {
            "base_learning_rate": 0.05,
            "weight_decay": 1e-4,
            "lr_schedule": "offset",
            "warmup_share": 0.0,
            "clip_norm": 0.0,
            "simsiam_fixed_predictor_rate": True,
        }
    }

    simsiam_embedding_size: int = setting(2048, "width of the projector's layers", low=8, paper="silent")
    simsiam_hidden_size: int = setting(512, "width of the predictor's hidden layer", low=2, paper="silent")
    simsiam_fixed_predictor_rate: bool = setting(
        False, "the predictor learns at the peak rate from the first step to the last", paper="silent"
    )
