"""Which images meet in which step: the plans that training batches are made by."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from mmgl_tf.pipelines.batches.identity_passes import passes_plan, steps_in_identity_pass
from mmgl_tf.pipelines.batches.identity_sampling import class_labels, identity_plan, steps_in_identity_epoch
from mmgl_tf.pipelines.batches.recipe import Sampler
from mmgl_tf.pipelines.batches.sampling import pretraining_plan, steps_in_epoch
from mmgl_tf.pipelines.records import INFRARED, MODALITIES, VISIBLE


@dataclass(frozen=True, eq=False)
class BatchPlan:
    """Which images meet in which step, and of which class they are.

    Attributes:
        batch_size: images per modality in a step, B.
        steps_per_epoch: length of an epoch, at least 1; the epoch of a step is step // steps_per_epoch.
        seed: the run's seed, for the order of the images and for all that is drawn for them.
        epoch: a pure function epoch -> (visible, infrared), integers [steps_per_epoch, B] each, places in
            `usable` of the stores; None for a modality that is not shown.
        classes: the class of each image of each store (visible, infrared), skipped ones included, int32, None
            for a modality that is not shown; or None where nobody knows.
        sized_by: what the user sets B with, for errors.

    Raises:
        ValueError: an epoch without steps.
    """

    batch_size: int
    steps_per_epoch: int
    seed: int
    epoch: Callable[[int], tuple[np.ndarray | None, np.ndarray | None]]
    classes: tuple[np.ndarray | None, np.ndarray | None] | None = None
    sized_by: str = "--batch_size"

    def __post_init__(self):
        if self.steps_per_epoch < 1:
            raise ValueError(
                f"steps_per_epoch is {self.steps_per_epoch}; expected at least 1 step in an epoch."
            )


def image_plan(
    stores,
    batch_size: int,
    seed: int,
    epoch_by: str = "max",
    steps_per_epoch: int = 0,
    modalities: Sequence[int] = (VISIBLE, INFRARED),
    identities=None,
) -> BatchPlan:
    """Images in random order, each modality by itself; see `sampling.pretraining_plan`.

    Args:
        stores: (visible, infrared) `image_store.ImageStore`s; None for a modality that is not shown.
        batch_size: images per modality, B.
        seed: the run's seed.
        epoch_by: "max" or "min": an epoch is one pass over the larger or the smaller modality.
        steps_per_epoch: length of an epoch; 0 = one pass by `epoch_by`.
        modalities: those that are shown, `recipe.modalities`.
        identities: where labels are wanted, as for `people_plan`; those of a modality that is not shown are
            not looked at. Classes are of the identities shown.

    Raises:
        ValueError: see `sampling.steps_in_epoch`; or identities that are unknown or do not match the stores.
    """
    numbers = [len(store.usable) if m in modalities else None for m, store in enumerate(stores)]
    one_pass = steps_in_epoch(*numbers, batch_size, epoch_by)
    if steps_per_epoch < 0:
        raise ValueError(f"steps_per_epoch is {steps_per_epoch}; expected 0 (one pass) or more.")
    steps = steps_per_epoch or one_pass
    return BatchPlan(
        batch_size,
        steps,
        seed,
        lambda epoch: pretraining_plan(*numbers, batch_size, seed, epoch, epoch_by, steps),
        None if identities is None else image_classes(stores, identities, modalities),
    )


def people_plan(
    stores,
    identities: Sequence,
    identities_per_batch: int,
    images_per_identity: int,
    seed: int,
    steps_per_epoch: int = 0,
    sampler: Sampler = Sampler.WITH_REPLACEMENT,
) -> BatchPlan:
    """P identities a batch, K visible and K infrared images of each.

    Images that the stores skipped are never drawn, nor are identities that are left with one modality.
    Classes are those of `identity_sampling.class_labels` of all identities given, drawn or not.

    Args:
        stores: (visible, infrared) `image_store.ImageStore`s.
        identities: (visible, infrared), integers [len(store)] each, of each image, skipped ones included.
        identities_per_batch: P.
        images_per_identity: K, of each modality.
        seed: the run's seed.
        steps_per_epoch: length of an epoch; 0 = the sampler's own, of the usable images:
            `identity_sampling.steps_in_identity_epoch` with replacement, else
            `identity_passes.steps_in_identity_pass`.
        sampler: `recipe.sampler`; see `identity_sampling.identity_plan` and `identity_passes.passes_plan`.

    Raises:
        ValueError: see `identity_sampling.drawable_identities`; or identities that are unknown or do not
            match the stores.
    """
    classes = image_classes(stores, identities)
    usable = [known[store.usable] for store, known in zip(stores, classes, strict=True)]
    sizes = (identities_per_batch, images_per_identity)
    if sampler is Sampler.WITH_REPLACEMENT:
        one_pass = steps_in_identity_epoch(*map(len, usable), *sizes)

        def plan(epoch, steps):
            return identity_plan(*usable, *sizes, seed, epoch, steps)[:2]
    else:
        once = sampler is Sampler.ONCE_EACH
        one_pass = steps_in_identity_pass(*usable, *sizes, seed, once)

        def plan(epoch, steps):
            return passes_plan(*usable, *sizes, seed, epoch, steps, once)

    plan(0, 1)  # too few identities are an error now, not in the first step
    steps = steps_per_epoch or one_pass
    return BatchPlan(
        identities_per_batch * images_per_identity,
        steps,
        seed,
        lambda epoch: plan(epoch, steps),
        classes,
        "--identities_per_batch times --images_per_identity",
    )


def image_classes(stores, identities, modalities: Sequence[int] = (VISIBLE, INFRARED)):
    """The class of each image of each store, by the identities of all of them together.

    Args:
        stores: (visible, infrared) `image_store.ImageStore`s.
        identities: (visible, infrared), integers [len(store)] each, skipped images included.
        modalities: those that are looked at.

    Returns:
        (visible, infrared) int32 [len(store)] each, None for a modality that is not looked at.

    Raises:
        ValueError: identities that are unknown or do not match the stores.
    """
    for modality in modalities:
        if len(identities[modality]) != len(stores[modality]):
            raise ValueError(
                f"{len(identities[modality])} identities were given for {len(stores[modality])} "
                f"{MODALITIES[modality]} images; expected one for each image of the store, in its order."
            )
    classes = class_labels(identity for modality in modalities for identity in identities[modality])
    return tuple(
        np.array([classes[identity] for identity in known], np.int32) if modality in modalities else None
        for modality, known in enumerate(identities)
    )
