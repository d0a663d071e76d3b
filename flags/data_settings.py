"""Settings of the images: which, drawn how, augmented how."""

from dataclasses import dataclass

from mmgl_tf.flags.setting import setting


@dataclass(frozen=True)
class Data:
    """Data: which images."""

    dataset: str = setting(
        "synthetic", "data set", choices=("sysu", "regdb", "folder", "synthetic"), paper="sysu"
    )
    data_dir: str = setting("", "root of the data set (not needed for synthetic)", resumable=True)
    trial: int = setting(1, "RegDB's split", low=1, high=10)
    train_ids: str = setting(
        "trainval",
        "identities to train on; train holds the validation identities out for model selection",
        choices=("train", "trainval"),
        paper="trainval (inferred)",
    )
    image_height: int = setting(288, "height after resizing", unit="pixels", low=16, paper="288")
    image_width: int = setting(144, "width after resizing", unit="pixels", low=16, paper="144")
    cache: bool = setting(
        True, "keep decoded, resized images in memory-mapped files under cache_dir", resumable=True
    )
    cache_dir: str = setting("cache", "directory for decoded images and drawn worlds", resumable=True)
    on_bad_image: str = setting(
        "fail",
        "an unreadable image stops the run, or is left out, counted and listed",
        choices=("fail", "skip"),
    )


@dataclass(frozen=True)
class World:
    """Built-in world: the drawn people of --dataset=synthetic and --mode=synthesize."""

    world_seed: int = setting(0, "seed of the drawn world", low=0)
    world_layout: str = setting("sysu", "directory layout to write", choices=("sysu", "regdb"))
    world_train_identities: int = setting(300, "training identities", low=2)
    world_validation_identities: int = setting(40, "validation identities", low=0)
    world_test_identities: int = setting(200, "test identities", low=0)
    world_frames: int = setting(4, "frames per camera and identity", low=1)
    world_infrared_train_frames: int = setting(5, "frames per infrared camera and training identity", low=1)
    world_height: int = setting(
        192, "height of the drawn images; the width is half of it", unit="pixels", low=48
    )


@dataclass(frozen=True)
class Augmentation:
    """Augmentation: what happens to a training image on the fly."""

    pad_pixels: int = setting(
        10, "zero padding before the random crop", unit="pixels", low=0, paper="10 (baseline's)"
    )
    flip_probability: float = setting(0.5, "horizontal flip", low=0.0, high=1.0, paper="0.5")
    augmix_modalities: str = setting(
        "both",
        "modalities that AugMix acts on",
        choices=("both", "visible", "infrared", "none"),
        paper="silent",
    )
    augmix_severity: float = setting(
        3.0, "AugMix severity; an operation's level is uniform from 0.1 to it", low=0.1, high=10.0
    )
    augmix_width: int = setting(3, "AugMix chains", low=1, high=8)
    augmix_depth: int = setting(0, "operations per chain; 0 = uniform from 1 to 3", low=0, high=8)
    erase_modalities: str = setting(
        "both",
        "modalities that random erasing acts on",
        choices=("both", "visible", "infrared", "none"),
        paper="silent",
    )
    erase_probability: float = setting(0.5, "random erasing", low=0.0, high=1.0, paper="0.5 (Zhong et al.)")
    erase_min_area: float = setting(
        0.02, "smallest erased share of the image", low=0.0, high=1.0, paper="0.02 (Zhong et al.)"
    )
    erase_max_area: float = setting(
        0.4, "largest erased share of the image", low=0.0, high=1.0, paper="0.4 (Zhong et al.)"
    )
    erase_min_aspect: float = setting(
        0.3,
        "smallest height/width of the erased box; the largest is its inverse",
        low=0.01,
        high=1.0,
        paper="0.3 (Zhong et al.)",
    )
    share_permutation: bool = setting(True, "one stripe order per visible-infrared pair", paper="true")
    warp: str = setting(
        "pil", "rotation and shear: pil is exact to Pillow, fast a little faster", choices=("pil", "fast")
    )
    data_threads: int = setting(0, "threads that augment; 0 = one per core", low=0, resumable=True)
