"""What methods share that train on the images of one modality."""

from dataclasses import dataclass

from mmgl_tf.flags.setting import setting


@dataclass(frozen=True)
class UnseenStem:
    """Unseen stem: of the modality that a method does not train on."""

    unseen_stem: str = setting(
        "copy",
        "what it becomes: copy = the other stem's weights, with statistics estimated anew on both "
        "modalities, at the end of each epoch; keep = its random start",
        choices=("copy", "keep"),
        paper="silent (the field copies ImageNet's)",
    )
