"""What methods share that compare two views of an image."""

from dataclasses import dataclass

from mmgl_tf.flags.setting import setting


@dataclass(frozen=True)
class TwoViews:
    """Two views: how they meet in the network and in the loss."""

    view_scope: str = setting(
        "mixed",
        "mixed = one loss over the images of both modalities, per_modality = the mean of a loss over the "
        "visible and one over the infrared images",
        choices=("mixed", "per_modality"),
        paper="silent",
    )
    view_joint: bool = setting(
        False,
        "views of one size go through the encoder in one batch, and all views through the heads in one, so "
        "that batch norm normalises them together, as SwAV has it; false = one view after the other, as "
        "BYOL, SimSiam and Barlow Twins have it",
        paper="silent",
    )

    @staticmethod
    def problems(config):
        """What is wrong with a run's settings, a list of sentences."""
        if config.optimization.batch_size < 2:
            return [
                f"--batch_size={config.optimization.batch_size}: --method={config.run.method} compares the "
                "images of a modality; use at least 2"
            ]
        return []
