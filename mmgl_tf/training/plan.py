"""What a method may know of the run that it is trained in."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class TrainingPlan:
    """Length and batches of a run; known before the model is built.

    Attributes:
        steps_per_epoch: steps.
        epochs: epochs.
        batch_size: images per modality in the global batch, B.
        num_identities: classes, where labels are trained on; else 0.
        modalities: how many of them a step shows, 1 or 2.
        survey: what the method found out about the training images, {name: array}; see
            `mmgl_tf.pretraining.base.PretrainingModel.survey`. Empty where nobody looked.
    """

    steps_per_epoch: int = 1
    epochs: int = 1
    batch_size: int = 48
    num_identities: int = 0
    modalities: int = 2
    survey: Mapping[str, np.ndarray] = field(default_factory=dict, compare=False)

    @property
    def images_per_step(self):
        """Images of a step, each counted once however many views it has."""
        return self.modalities * self.batch_size

    @property
    def total_steps(self):
        """Steps of the whole run."""
        return self.steps_per_epoch * self.epochs
