"""What methods share that train on the images of one modality."""

from dataclasses import dataclass

from mmgl_tf.flags.setting import setting

OF_ONE_MODALITY = {"supervised_modalities": ("visible", "infrared")}


@dataclass(frozen=True)
class UnseenStem:
    """Unseen stem: of the modality that a method does not train on."""

    unseen_stem: str = setting(
        "copy",
        "stem of the modality that is not trained on: copy = becomes a copy of the trained stem after each "
        "epoch, and saved encoders get batch norm statistics of both modalities; keep = stays at its random "
        "start, with the statistics of training",
        choices=("copy", "keep"),
        paper="silent (the field copies ImageNet's)",
        needs=OF_ONE_MODALITY,
    )
    unseen_stem_batches: int = setting(
        200,
        "most batches of plain training images that the statistics of a saved encoder are estimated from, at "
        "the end of each epoch; images of the smaller modality come more than once",
        unit="batches",
        low=1,
        paper="silent",
        needs=OF_ONE_MODALITY | {"unseen_stem": "copy"},
    )
