"""Settings of SwAV."""

from dataclasses import dataclass
from typing import ClassVar

from mmgl_tf.flags.setting import setting


@dataclass(frozen=True)
class SwAv:
    """SwAV: predict one view's cluster from another view (Caron et al. 2020)."""

    TITLE: ClassVar = "SwAV"
    READS: ClassVar = ("views", "two_views")
    WITH_BATCH: ClassVar = ("swav_queue_size",)
    TINY: ClassVar = {
        "swav_hidden_size": 16,
        "swav_embedding_size": 8,
        "swav_prototypes": 6,
        "swav_small_crops": 1,
        "swav_small_height": 32,
        "swav_small_width": 16,
        "swav_queue_size": 16,
        "swav_queue_start_epoch": 0,
        "swav_frozen_epochs": 0,
    }
    PRESETS: ClassVar = {
        "demo": {
            "swav_hidden_size": 256,
            "swav_prototypes": 128,
            "swav_small_crops": 0,
            "swav_queue_size": 960,
            "swav_queue_start_epoch": 2,
        },
        "smoke": {
            "swav_hidden_size": 256,
            "swav_prototypes": 128,
            "swav_small_crops": 0,
            "swav_queue_size": 192,
            "swav_queue_start_epoch": 1,
        },
    }
    RECIPES: ClassVar = {
        "native": {
            "optimizer": "lars",
            "base_learning_rate": 0.6,
            "weight_decay": 1e-6,
            "lr_schedule": "offset",
            "lr_final": 0.001,
            "warmup_share": 0.0,
            "clip_norm": 0.0,
            "swav_adapt_vectors": True,
            "view_joint": True,
        }
    }

    swav_prototypes: int = setting(
        500, "prototypes, K; its authors have 3000 for 1.28 million images", low=2, paper="silent"
    )
    swav_temperature: float = setting(0.1, "of the predicted assignment", low=1e-3, paper="silent")
    swav_epsilon: float = setting(0.05, "smoothness of the codes", low=1e-3, paper="silent")
    swav_sinkhorn_iters: int = setting(3, "iterations that even the codes out", low=1, paper="silent")
    swav_queue_size: int = setting(
        3840,
        "earlier embeddings that take part in the codes, a multiple of the images of a step; 0 = none",
        unit="embeddings",
        low=0,
        paper="silent",
    )
    swav_queue_start_epoch: int = setting(
        15, "epoch from which the queue fills; it takes part once it is full", unit="epochs", low=0
    )
    swav_frozen_epochs: int = setting(
        1, "epochs during which the prototypes stand still", unit="epochs", low=0, paper="silent"
    )
    swav_small_crops: int = setting(4, "further, smaller views of an image", low=0, paper="silent")
    swav_small_height: int = setting(128, "their height", unit="pixels", low=16)
    swav_small_width: int = setting(64, "their width", unit="pixels", low=16)
    swav_small_min_scale: float = setting(0.1, "least share of the image that they show", low=0.01, high=1.0)
    swav_small_max_scale: float = setting(0.35, "largest share", low=0.01, high=1.0)
    swav_hidden_size: int = setting(2048, "width of the projector's hidden layer", low=2, paper="silent")
    swav_embedding_size: int = setting(128, "width of its output", low=2, paper="silent")
    swav_adapt_vectors: bool = setting(
        False,
        "LARS scales the steps of biases and norms too, as its authors' does",
        paper="silent",
        needs={"optimizer": "lars"},
    )
