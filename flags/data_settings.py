"""Settings of the images: which, and drawn how. How augmented: flags/methods/shared/augmentation.py."""

from dataclasses import dataclass

from mmgl_tf.flags.setting import setting


@dataclass(frozen=True)
class Data:
    """Data: which images."""

    dataset: str = setting(
        "synthetic",
        "data set to train and evaluate on",
        choices=("sysu", "regdb", "folder", "synthetic"),
        paper="sysu",
    )
    data_dir: str = setting("", "root of the data set (not needed for synthetic)", resumable=True)
    trial: int = setting(1, "number of RegDB's split", low=1, high=10)
    train_ids: str = setting(
        "trainval",
        "identities to train on: train = without the validation identities, which then choose the best "
        "weights; trainval = all of them",
        choices=("train", "trainval"),
        paper="trainval (inferred)",
    )
    image_height: int = setting(288, "height that images are resized to", unit="pixels", low=16, paper="288")
    image_width: int = setting(144, "width that images are resized to", unit="pixels", low=16, paper="144")
    resize: str = setting(
        "lanczos",
        "filter that resizes the image files, with antialiasing",
        choices=("lanczos", "bilinear"),
        paper="lanczos (baselines' code); bilinear with MPANet and VCD",
    )
    cache: bool = setting(
        True, "keep decoded, resized images in memory-mapped files under cache_dir", resumable=True
    )
    cache_dir: str = setting("cache", "directory for decoded images and drawn worlds", resumable=True)
    data_threads: int = setting(
        0, "threads that read and augment images; 0 = one per core", low=0, resumable=True
    )
    on_bad_image: str = setting(
        "fail",
        "what becomes of an unreadable image: fail = it stops the run; skip = it is left out, counted and "
        "listed",
        choices=("fail", "skip"),
    )


@dataclass(frozen=True)
class World:
    """Built-in world: the drawn people of --dataset=synthetic and --mode=synthesize."""

    world_seed: int = setting(0, "seed of the drawn world", low=0)
    world_layout: str = setting(
        "sysu", "data set whose cameras and directory layout the drawn world has", choices=("sysu", "regdb")
    )
    world_train_identities: int = setting(300, "training identities of the drawn world", low=2)
    world_validation_identities: int = setting(40, "validation identities of the drawn world", low=0)
    world_test_identities: int = setting(200, "test identities of the drawn world", low=0)
    world_frames: int = setting(4, "drawn images of an identity from each camera", low=1)
    world_infrared_train_frames: int = setting(
        5, "drawn images of a training identity from each infrared camera", low=1
    )
    world_height: int = setting(
        192, "height of the drawn images; the width is half of it", unit="pixels", low=48
    )
