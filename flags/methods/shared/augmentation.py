"""What methods share that change training images in the way MMGL and the baselines do."""

from dataclasses import dataclass

from mmgl_tf.flags.setting import setting

WHOSE = ("both", "visible", "infrared", "none")
WITH_AUGMIX = {"augmix_modalities": ("both", "visible", "infrared")}
WITH_ERASING = {"erase_modalities": ("both", "visible", "infrared")}


@dataclass(frozen=True)
class Flips:
    """Horizontal flips of training images."""

    flip_probability: float = setting(
        0.5, "probability that a training image is flipped horizontally", low=0.0, high=1.0, paper="0.5"
    )


@dataclass(frozen=True)
class Crops:
    """Padded random crops of training images."""

    pad_pixels: int = setting(
        10, "zero padding before the random crop", unit="pixels", low=0, paper="10 (baseline's)"
    )


@dataclass(frozen=True)
class Distortions:
    """AugMix and random erasing of training images."""

    augmix_modalities: str = setting("both", "modalities that AugMix acts on", choices=WHOSE, paper="silent")
    augmix_severity: float = setting(
        3.0,
        "AugMix severity; an operation's level is uniform from 0.1 to it",
        low=0.1,
        high=10.0,
        needs=WITH_AUGMIX,
    )
    augmix_width: int = setting(3, "AugMix chains", low=1, high=8, needs=WITH_AUGMIX)
    augmix_depth: int = setting(
        0, "operations in an AugMix chain; 0 = uniform from 1 to 3", low=0, high=8, needs=WITH_AUGMIX
    )
    warp: str = setting(
        "pil",
        "AugMix's rotation and shear: pil is exact to Pillow, fast a little faster",
        choices=("pil", "fast"),
        needs=WITH_AUGMIX,
    )
    erase_modalities: str = setting(
        "both", "modalities that random erasing acts on", choices=WHOSE, paper="silent"
    )
    erase_probability: float = setting(
        0.5,
        "probability that a box of the image is erased",
        low=0.0,
        high=1.0,
        paper="0.5 (Zhong et al.)",
        needs=WITH_ERASING,
    )
    erase_min_area: float = setting(
        0.02,
        "smallest share of the image that random erasing erases",
        low=0.0,
        high=1.0,
        paper="0.02 (Zhong et al.)",
        needs=WITH_ERASING,
    )
    erase_max_area: float = setting(
        0.4,
        "largest share of the image that random erasing erases",
        low=0.0,
        high=1.0,
        paper="0.4 (Zhong et al.)",
        needs=WITH_ERASING,
    )
    erase_min_aspect: float = setting(
        0.3,
        "smallest height/width of the erased box; the largest is its inverse",
        low=0.01,
        high=1.0,
        paper="0.3 (Zhong et al.)",
        needs=WITH_ERASING,
    )

    @staticmethod
    def problems(config):
        """What is wrong with a run's settings, a list of sentences."""
        low, high = config.distortions.erase_min_area, config.distortions.erase_max_area
        return [f"--erase_min_area={low} is larger than --erase_max_area={high}"] if low > high else []
