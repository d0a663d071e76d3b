"""Settings of MPANet."""

from dataclasses import dataclass
from typing import ClassVar

from mmgl_tf.flags.setting import setting

# Padding with grey, torchvision's random erasing of its time, and nothing else.
_IMAGES = {
    "resize": "bilinear",
    "pad_value": 127,
    "augmix_modalities": "none",
    "erase_modalities": "both",
    "erase_max_area": 0.33,
    "erase_max_aspect": 3.3,
    "erase_tries": 10,
}
# One rate for trunk and heads.
_ADAM = {"optimizer": "adam", "learning_rate": 3.5e-4, "trunk_lr_multiplier": 1.0}


@dataclass(frozen=True)
class MpaNet:
    """MPANet: patterns found in both modalities, classifiers that teach each other (Wu et al., 2021)."""

    TITLE: ClassVar = "MPANet"
    IMAGES: ClassVar = ("flips", "crops", "distortions")
    STREAM: ClassVar = "one"
    FIXED: ClassVar = ("mpanet_patterns", "mpanet_alleviation")
    TINY: ClassVar = {"mpanet_patterns": 3, "mpanet_margin": 8.0}
    PRESETS: ClassVar = {
        "paper": _IMAGES
        | _ADAM
        | {
            "image_height": 384,
            "image_width": 128,
            "identities_per_batch": 16,
            "images_per_identity": 4,
            "epochs": 140,
            "warmup_epochs": 0.0,
            "lr_milestones": "80,120",
        },
        # As many steps as the other methods' demo, of the shorter epochs that its sampler makes.
        "demo": _IMAGES | _ADAM | {"epochs": 20, "warmup_epochs": 2.0},
        "smoke": _IMAGES | _ADAM,
    }
    # On SYSU-MM01 as all methods; on RegDB vectors as long as they are, and identities in the match curve.
    EVALUATED: ClassVar = {"regdb": {"distance": "euclidean", "count_identities": "always"}}
    DATASET_PRESETS: ClassVar = {
        "regdb": {
            "paper": {
                "image_height": 256,
                "identities_per_batch": 12,
                "images_per_identity": 5,
                "lr_milestones": "110",
            }
        }
    }

    mpanet_patterns: int = setting(6, "masks under which MPANet pools", low=2, high=64, paper="6")
    mpanet_alleviation: str = setting(
        "both",
        "stages behind which MPANet mixes the feature map with its instance norm: both = the third and the "
        "last, last = the last alone",
        choices=("both", "last", "none"),
        paper="both (as released)",
    )
    mpanet_separation_weight: float = setting(
        0.5, "weight of the overlap of MPANet's masks", low=0.0, paper="0.5 (as released)"
    )
    mpanet_centre_weight: float = setting(
        1.0, "weight of MPANet's centre-cluster loss", low=0.0, paper="1 (as released)"
    )
    mpanet_margin: float = setting(
        0.7, "distance up to which MPANet pushes centres apart", low=0.01, paper="0.7 (as released)"
    )
    mpanet_specific_weight: float = setting(
        1.0,
        "weight of the cross-entropies of MPANet's two classifiers of one modality each",
        low=0.0,
        paper="1 (0.5, which the released code adds twice)",
    )
    mpanet_mutual_weight: float = setting(
        2.5, "weight of the divergence from the other modality's slow classifier", low=0.0, paper="2.5"
    )
