"""What a method may know of the run that it is trained in."""

from dataclasses import dataclass


@dataclass(frozen=True)
class TrainingPlan:
    """Length and batches of a run; known before the model is built.

    Attributes:
        steps_per_epoch: steps.
        epochs: epochs.
        batch_size: images per modality in the global batch, B.
        num_identities: classes, where labels are trained on; else 0.
    """

    steps_per_epoch: int = 1
    epochs: int = 1
    batch_size: int = 48
    num_identities: int = 0

    @property
    def total_steps(self):
        """Steps of the whole run."""
        return self.steps_per_epoch * self.epochs
