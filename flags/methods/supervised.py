"""Settings of supervised pre-training."""

from dataclasses import dataclass
from typing import ClassVar

from mmgl_tf.flags.setting import setting


@dataclass(frozen=True)
class Supervised:
    """Supervised: identities (or any labels) as classes; what pre-training without labels is measured by."""

    TITLE: ClassVar = "Supervised"
    COST: ClassVar = 0.5
    TITLED_BY: ClassVar = "supervised_modalities"
    WITH_IDENTITIES: ClassVar = True
    NOTE: ClassVar = "told who is on the training images; no stand-in for ImageNet"
    READS: ClassVar = ("unseen_stem",)
    IMAGES: ClassVar = ("flips", "crops", "distortions")
    TINY: ClassVar = {"unseen_stem_batches": 1}
    PRESETS: ClassVar = {"demo": {"unseen_stem_batches": 40}, "smoke": {"unseen_stem_batches": 5}}

    supervised_modalities: str = setting(
        "visible",
        "modality whose images are trained on; on people of this data set that is a start that was told who "
        "is who, no stand-in for ImageNet",
        choices=("visible", "infrared", "both"),
        paper="visible (ImageNet's)",
    )
