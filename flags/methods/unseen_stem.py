"""What methods share that train on the images of one modality."""

from dataclasses import dataclass

from mmgl_tf.flags.setting import setting


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
    )
    unseen_stem_batches: int = setting(
        200,
        "batches of plain training images that the statistics of a saved encoder are estimated from, at the "
        "end of each epoch; each image at most once",
        unit="batches",
        low=1,
        paper="silent",
    )
