"""Settings of Barlow Twins."""

from dataclasses import dataclass
from typing import ClassVar

from mmgl_tf.flags.setting import setting


@dataclass(frozen=True)
class BarlowTwins:
    """Barlow Twins: the two views' embeddings correlate in each dimension alone (Zbontar et al. 2021)."""

    TITLE: ClassVar = "Barlow Twins"
    COST: ClassVar = 2.1
    READS: ClassVar = ("views", "unlike_views", "two_views", "residual_start")
    TINY: ClassVar = {"barlow_twins_embedding_size": 16}
    PRESETS: ClassVar = {
        "demo": {"barlow_twins_embedding_size": 512},
        "smoke": {"barlow_twins_embedding_size": 512},
    }
    RECIPES: ClassVar = {
        "native": {
            "optimizer": "lars",
            "base_learning_rate": 0.2,
            "weight_decay": 1e-6,
            "wd_on_bn": False,
            "wd_on_bias": False,
            "lr_schedule": "offset",
            "lr_final": 0.001,
            "warmup_share": 0.1,
            "clip_norm": 0.0,
            "barlow_twins_vector_rate": 0.024,
            "barlow_twins_scale": 1.0,
        }
    }

    barlow_twins_embedding_size: int = setting(
        2048, "width of the projector's three layers; the authors have 8192", low=8, paper="silent"
    )
    barlow_twins_off_diagonal: float = setting(
        0.0051, "weight lambda of the off-diagonal correlations", low=0.0, paper="silent"
    )
    barlow_twins_scale: float = setting(
        0.025,
        "factor on the whole loss, whose value is in the hundreds: SGD needs a small one; LARS, whose step "
        "does not depend on it, can have 1",
        low=0.0,
        paper="silent",
    )
    barlow_twins_vector_rate: float = setting(
        1.0,
        "learning rate of biases and batch norm, as a multiple of that of the weights",
        low=0.0,
        paper="silent",
    )
