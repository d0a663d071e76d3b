"""What methods share that compare two views of an image."""

from dataclasses import dataclass

from mmgl_tf.flags.setting import setting


@dataclass(frozen=True)
class TwoViews:
    """Two views: how they meet in the network and in the loss."""

    view_scope: str = setting(
        "mixed",
        "which images a loss compares: of both modalities together, or of each by itself",
        choices=("mixed", "per_modality"),
        paper="silent",
    )
    view_joint: bool = setting(
        False,
        "both views in one forward pass, so that batch norm mixes them; false = each view by itself, as "
        "BYOL, SimSiam and Barlow Twins have it",
        paper="silent",
    )
