"""Settings of VCD, MMGL's "MutualInfo"."""

from dataclasses import dataclass
from typing import ClassVar

from mmgl_tf.flags.setting import setting

# Flips alone: the released crops pad by 0, and its erasing has odds of 0.
_IMAGES = {
    "resize": "bilinear",
    "pad_pixels": 0,
    "augmix_modalities": "none",
    "erase_modalities": "none",
}
# One rate for trunk and heads.
_ADAM = {"optimizer": "adam", "learning_rate": 2.6e-4, "trunk_lr_multiplier": 1.0}


@dataclass(frozen=True)
class Vcd:
    """MutualInfo (VCD): variational cross-distillation (Tian et al., 2021)."""

    TITLE: ClassVar = "MutualInfo (VCD)"
    IMAGES: ClassVar = ("flips", "crops", "distortions")
    STREAM: ClassVar = "one"
    TINY: ClassVar = {"vcd_representation_size": 16}
    PRESETS: ClassVar = {
        # The authors' schedule counts epochs from 1: epoch e from 0 has (0.01 (1 - t/10) + t/10) of the rate,
        # t = e + 1, until t = 10, and a tenth from t = 210 on. From 0.109 in 9 epochs is the same line.
        "paper": _IMAGES
        | _ADAM
        | {
            "image_height": 256,
            "image_width": 128,
            "identities_per_batch": 16,
            "images_per_identity": 4,
            "epochs": 600,
            "warmup_epochs": 9.0,
            "warmup_start": 0.109,
            "lr_milestones": "209",
        },
        # As many steps as the other methods' demo, of the short epochs that its sampler makes.
        "demo": _IMAGES | _ADAM | {"epochs": 40, "warmup_epochs": 4.0},
        "smoke": _IMAGES | _ADAM,
    }
    DATASET_PRESETS: ClassVar = {"regdb": {"paper": {"identities_per_batch": 8}}}

    vcd_representation_size: int = setting(
        512, "length of VCD's representations, behind the bottlenecks", low=2, paper="512 (as released)"
    )
    vcd_distillation: str = setting(
        "released",
        "VCD's distillation: released = as in the authors' code, which hardly acts; proper = the paper's "
        "divergence, which wants weights of its own",
        choices=("released", "proper"),
        paper="proper; its numbers are with released",
    )
    vcd_smoothing: float = setting(
        0.1, "label smoothing of VCD's cross-entropies", low=0.0, high=0.99, paper="0.1 (as released)"
    )
    vcd_rank_weight: float = setting(1.0, "weight of VCD's ranked-list losses", low=0.0, paper="1")
    vcd_consistency_weight: float = setting(
        8.0, "weight of VCD's transport distance between its encoders", low=0.0, paper="8 (as released)"
    )
    vcd_self_weight: float = setting(
        2.0, "weight of VCD's self-distillation", low=0.0, paper="2 (as released)"
    )
    vcd_cross_weight: float = setting(
        2.0, "weight of VCD's cross-distillation", low=0.0, paper="2 (as released)"
    )
