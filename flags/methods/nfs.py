"""Settings of the NFS-style method."""

from dataclasses import dataclass
from typing import ClassVar

from mmgl_tf.flags.setting import setting

_CENTRE, _HETERO_CENTRE = "centre", "hetero_centre"


@dataclass(frozen=True)
class Nfs:
    """NFS-style: a search for the channels and places that tell people apart (after Chen et al., 2021)."""

    TITLE: ClassVar = "NFS-style reconstruction"
    NOTE: ClassVar = (
        "a reconstruction from the abstract and one figure: NFS has published no code, so what the paper "
        "reports of NFS is another network's"
    )
    READS: ClassVar = ("triplet", "batch_hard")
    IMAGES: ClassVar = ("flips", "crops", "distortions")
    FIXED: ClassVar = ("nfs_reduction", "nfs_residual")
    TINY: ClassVar = {"nfs_reduction": 4}
    # As many epochs as AGW's other schedules have milestones for; a reconstruction has no released number.
    PRESETS: ClassVar = {"paper": {"epochs": 80}}

    nfs_reduction: int = setting(
        16,
        "channels over the inner units of NFS-style channel gates; 0 = gates that do not look at the image",
        low=0,
        paper="silent",
    )
    nfs_residual: bool = setting(
        False, "add the feature map to what the NFS-style gates let through", paper="silent"
    )
    nfs_temperature: float = setting(
        1.0, "temperature of the NFS-style gates at the first step", low=0.01, paper="silent"
    )
    nfs_temperature_final: float = setting(
        0.5, "temperature of the NFS-style gates from half of the run on", low=0.01, paper="silent"
    )
    nfs_contrast: str = setting(
        _CENTRE,
        "how NFS-style compares identities across modalities: centre = a centre finds its own among all, "
        "hetero_centre = a triplet of centres",
        choices=(_CENTRE, _HETERO_CENTRE),
        paper="silent",
    )
    nfs_contrast_weight: float = setting(
        1.0, "weight of the NFS-style contrast of centres", low=0.0, paper="silent"
    )
    nfs_contrast_temperature: float = setting(
        0.1,
        "temperature of the NFS-style contrast of centres",
        low=1e-3,
        paper="silent",
        needs={"nfs_contrast": _CENTRE},
    )
    nfs_contrast_margin: float = setting(
        0.3,
        "margin of the NFS-style triplet of centres",
        low=0.0,
        paper="silent",
        needs={"nfs_contrast": _HETERO_CENTRE},
    )

    @staticmethod
    def problems(config):
        """What is wrong with a run's settings, a list of sentences."""
        reduction, backbone = config.nfs.nfs_reduction, config.network.backbone
        channels = 256 if backbone == "resnet50" else 64  # of the first stage; the others' are multiples
        if reduction and channels % reduction:
            return [
                f"--nfs_reduction={reduction} does not divide the {channels} channels of the first stage of "
                f"--backbone={backbone}; use a power of 2 up to {channels}, or 0"
            ]
        return []
