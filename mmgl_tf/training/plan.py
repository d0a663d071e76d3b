"""What a method may know of the run that it is trained in."""

import itertools
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
        stages: epochs of each stage, where a method trains in stages; they add up to `epochs`. () = one.
        warmup_epochs: epochs in which the learning rate rises; may be a fraction.
        held_out_images: images per modality that are held out, where they are fewer than a batch: of a
            method that compares the images of a batch, a held-out one has no more. 0 = enough, or nobody
            looked.
    """

    steps_per_epoch: int = 1
    epochs: int = 1
    batch_size: int = 48
    num_identities: int = 0
    modalities: int = 2
    survey: Mapping[str, np.ndarray] = field(default_factory=dict, compare=False)
    stages: tuple[int, ...] = ()
    warmup_epochs: float = 0.0
    held_out_images: int = 0

    @property
    def images_per_step(self):
        """Images of a step, each counted once however many views it has."""
        return self.modalities * self.batch_size

    @property
    def total_steps(self):
        """Steps of the whole run."""
        return self.steps_per_epoch * self.epochs

    @property
    def stage_ends(self):
        """Finished epochs at the end of each stage, a tuple; the last is `epochs`."""
        return tuple(itertools.accumulate(self.stages)) or (self.epochs,)

    @property
    def stage_starts(self):
        """First step of each stage, a tuple that begins with 0."""
        return (0, *(end * self.steps_per_epoch for end in self.stage_ends[:-1]))

    def stage_of(self, step):
        """Number of the stage, from 0, that a step belongs to; those beyond the end belong to the last.

        Args:
            step: integer, steps gone by before it.
        """
        return sum(step >= start for start in self.stage_starts) - 1
