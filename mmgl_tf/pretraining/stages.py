"""A stage of a pre-training: a part of the run that has batches of its own."""

from dataclasses import dataclass

from mmgl_tf.pipelines.batches.recipe import HeldOut, Recipe


@dataclass(frozen=True)
class Stage:
    """How long a stage lasts and what it shows.

    Stages begin with an epoch, as the figures of an epoch are those of one task. Where they differ in what a
    batch is called or shaped like, the training step is traced anew; so a batch tells its stage by its names,
    and what a step does is a function of weights and batch alone, also after a resume.

    Attributes:
        epochs: whole epochs, at least 1.
        recipe: of training batches.
        held_out: what is asked of held-out images.
    """

    epochs: int
    recipe: Recipe
    held_out: HeldOut
