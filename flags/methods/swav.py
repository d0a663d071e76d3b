"""Settings of SwAV."""

from dataclasses import dataclass
from typing import ClassVar

from mmgl_tf.flags.setting import ONE_OR_MORE, setting


@dataclass(frozen=True)
class SwAv:
    """SwAV: predict one view's cluster from another view (Caron et al. 2020)."""

    TITLE: ClassVar = "SwAV"
    COST: ClassVar = 3.5
    READS: ClassVar = ("views", "alike_views", "two_views")
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
        # As in the native recipe: the other methods show views that go through the network by themselves.
        "view_joint": True,
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
        500, "prototypes, K; SwAV's authors have 3000 for 1.28 million images", low=2, paper="silent"
    )
    swav_temperature: float = setting(
        0.1, "softmax temperature of the predicted assignments", low=1e-3, paper="silent"
    )
    swav_epsilon: float = setting(
        0.05, "entropy weight of the Sinkhorn codes; larger ones are smoother", low=1e-3, paper="silent"
    )
    swav_sinkhorn_iters: int = setting(3, "Sinkhorn iterations of the codes", low=1, paper="silent")
    swav_queue_size: int = setting(
        3840,
        "earlier embeddings that take part in the codes, a multiple of the images of a step (twice "
        "--batch_size, which the default follows); 0 = none",
        unit="embeddings",
        low=0,
        paper="silent",
    )
    swav_queue_start_epoch: int = setting(
        15,
        "epoch from which on embeddings join the queue, which takes part once it is full",
        unit="epochs",
        low=0,
        needs={"swav_queue_size": ONE_OR_MORE},
    )
    swav_frozen_epochs: int = setting(
        1, "first epochs, during which the prototypes are frozen", unit="epochs", low=0, paper="silent"
    )
    swav_small_crops: int = setting(
        4, "small crops of an image beside its two full-size views", low=0, paper="silent"
    )
    swav_small_height: int = setting(
        128,
        "height of the small crops, a multiple of 16",
        unit="pixels",
        low=16,
        needs={"swav_small_crops": ONE_OR_MORE},
    )
    swav_small_width: int = setting(
        64,
        "width of the small crops, a multiple of 16",
        unit="pixels",
        low=16,
        needs={"swav_small_crops": ONE_OR_MORE},
    )
    swav_small_min_scale: float = setting(
        0.1,
        "smallest share of the image's area that a small crop shows",
        low=0.01,
        high=1.0,
        needs={"swav_small_crops": ONE_OR_MORE},
    )
    swav_small_max_scale: float = setting(
        0.35,
        "largest share of the image's area that a small crop shows",
        low=0.01,
        high=1.0,
        needs={"swav_small_crops": ONE_OR_MORE},
    )
    swav_hidden_size: int = setting(2048, "width of the projector's hidden layer", low=2, paper="silent")
    swav_embedding_size: int = setting(128, "width of the projector's output", low=8, paper="silent")
    swav_adapt_vectors: bool = setting(
        False,
        "LARS adapts the steps of biases and batch norm too, as in the code of SwAV's authors",
        paper="silent",
        needs={"optimizer": "lars"},
    )

    @staticmethod
    def problems(config):
        """What is wrong with a run's settings, a list of sentences."""
        problems, own, images = [], config.swav, 2 * config.optimization.batch_size
        if own.swav_queue_size % images:
            fewer = own.swav_queue_size // images * images
            problems.append(
                f"--swav_queue_size={own.swav_queue_size}: expected a multiple of the {images} images of a "
                f"step; use {f'{fewer} or ' if fewer else ''}{fewer + images}, or 0 for none"
            )
        if not own.swav_small_crops:
            return problems
        for name in ("swav_small_height", "swav_small_width"):
            if getattr(own, name) % 16:
                problems.append(
                    f"--{name}={getattr(own, name)}: expected a multiple of 16, the stride of the network"
                )
        low, high = own.swav_small_min_scale, own.swav_small_max_scale
        if low > high:
            problems.append(f"--swav_small_min_scale={low} is larger than --swav_small_max_scale={high}")
        return problems
