"""What methods share that change training images in the way MMGL and the baselines do."""

from dataclasses import dataclass

from mmgl_tf.flags.setting import ONE_OR_MORE, setting

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
        10, "padding before the random crop", unit="pixels", low=0, paper="10 (baseline's)"
    )
    pad_value: int = setting(
        0,
        "grey level of the padding",
        unit="of 255",
        low=0,
        high=255,
        paper="0 (baseline's); 127 with MPANet",
        needs={"pad_pixels": ONE_OR_MORE},
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
        "smallest height/width of the erased box",
        low=0.01,
        high=1.0,
        paper="0.3 (Zhong et al.)",
        needs=WITH_ERASING,
    )
    erase_max_aspect: float = setting(
        0.0,
        "largest height/width of the erased box; 0 = the inverse of the smallest",
        low=0.0,
        high=100.0,
        paper="0 (Zhong et al.); 3.3 with MPANet",
        needs=WITH_ERASING,
    )
    erase_tries: int = setting(
        8,
        "sizes of a box that are tried until one fits into the image; if none does, nothing is erased",
        low=1,
        high=100,
        paper="100 (Zhong et al.), which 8 hardly differ from; 10 with MPANet",
        needs=WITH_ERASING,
    )

    @staticmethod
    def problems(config):
        """What is wrong with a run's settings, a list of sentences."""
        own, problems = config.distortions, []
        for what, unlimited in (("area", False), ("aspect", True)):
            low, high = (getattr(own, f"erase_{end}_{what}") for end in ("min", "max"))
            if low > high and not (unlimited and high == 0.0):
                problems.append(f"--erase_min_{what}={low} is larger than --erase_max_{what}={high}")
        return problems
