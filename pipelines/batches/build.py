"""Index plans and images -> `tf.data` batches for training and evaluation."""

import functools

import numpy as np
import tensorflow as tf

from mmgl_tf.flags.config import Augmentation
from mmgl_tf.pipelines.batches.data_wait import DataWait
from mmgl_tf.pipelines.batches.evaluation_batches import EvaluationBatches
from mmgl_tf.pipelines.batches.identity_sampling import class_labels, identity_plan, steps_in_identity_epoch
from mmgl_tf.pipelines.batches.numbered_batches import numbered_batches, sharded_batches
from mmgl_tf.pipelines.batches.plain_batches import PlainBatches
from mmgl_tf.pipelines.batches.sampling import pretraining_plan, steps_in_epoch
from mmgl_tf.pipelines.batches.shards import WHOLE, Shards
from mmgl_tf.pipelines.batches.training_batches import TrainingBatches
from mmgl_tf.pipelines.records import MODALITIES


def training_dataset(
    visible_store,
    infrared_store,
    augmentation: Augmentation,
    num_stripes: int,
    batch_size: int,
    seed: int,
    first_step: int,
    total_steps: int,
    steps_per_epoch: int = 0,
    epoch_by: str = "max",
    wait: DataWait | None = None,
    shards: Shards = WHOLE,
) -> tf.data.Dataset:
    """Training batches of the global steps first_step, ..., total_steps - 1.

    A batch is a pure function of its step (see `TrainingBatches`), so a run that is resumed passes
    another `first_step` and gets the very batches it would have got.

    Args:
        visible_store: `image_store.ImageStore` of the visible images.
        infrared_store: of the infrared images.
        augmentation: settings.
        num_stripes: N, must divide H.
        batch_size: images per modality, B.
        seed: the run's seed.
        first_step: global step to start at, 0 unless resumed.
        total_steps: global step to stop before.
        steps_per_epoch: length of an epoch; 0 = one pass by `epoch_by`. The epoch of a step is
            step // steps_per_epoch.
        epoch_by: "max" or "min": one pass over the larger or the smaller modality.
        wait: told when each batch arrives at the trainer.
        shards: the replicas whose parts of the batches are wanted.

    Returns:
        A dataset of known length. Its elements are dicts: visible and infrared, float32 [B, H, W, 3],
        augmented, normalised, stripes shuffled; permutation, int32 [2B, N], visible rows first, slot i
        shows stripe permutation[b, i]. With `shards`, an element is a replica's part, B / total in place
        of B, and there are shards.local of them for each step, in the order that `Shards` states.

    Raises:
        ValueError: see `TrainingBatches` and `sampling.steps_in_epoch`; first_step is negative or beyond
            total_steps; or the replicas cannot share the batch evenly.
    """
    _judge_steps(first_step, total_steps)
    rows = shards.rows_per_replica(batch_size)
    batches = pretraining_batches(
        visible_store,
        infrared_store,
        augmentation,
        num_stripes,
        batch_size,
        seed,
        steps_per_epoch,
        epoch_by,
    )
    spec = {
        **_image_specs(rows, batches.image_shape),
        "permutation": tf.TensorSpec((2 * rows, num_stripes), tf.int32),
    }
    dataset = sharded_batches(batches, spec, first_step, total_steps, batch_size, shards)
    return wait.attach(dataset, "permutation", shards.local) if wait else dataset


def pretraining_batches(
    visible_store,
    infrared_store,
    augmentation: Augmentation,
    num_stripes: int,
    batch_size: int,
    seed: int,
    steps_per_epoch: int = 0,
    epoch_by: str = "max",
) -> TrainingBatches:
    """The batches behind `training_dataset`, by global step; arguments and errors as there."""
    numbers = [len(store.usable) for store in (visible_store, infrared_store)]
    one_pass = steps_in_epoch(*numbers, batch_size, epoch_by)
    steps = steps_per_epoch or one_pass
    plan = functools.partial(
        pretraining_plan, *numbers, batch_size, seed, epoch_by=epoch_by, steps_per_epoch=steps
    )
    return TrainingBatches(
        visible_store, infrared_store, augmentation, num_stripes, batch_size, seed, steps, plan
    )


def finetuning_dataset(
    visible_store,
    infrared_store,
    visible_identities,
    infrared_identities,
    augmentation: Augmentation,
    identities_per_batch: int,
    images_per_identity: int,
    seed: int,
    first_step: int,
    total_steps: int,
    steps_per_epoch: int = 0,
    wait: DataWait | None = None,
    shards: Shards = WHOLE,
) -> tf.data.Dataset:
    """Labelled batches of the global steps first_step, ..., total_steps - 1; resumable as `training_dataset`.

    A batch shows P identities with K visible and K infrared images each (`identity_sampling.identity_plan`),
    cropped and flipped as `augmentation` says; AugMix and erasing happen if it asks for them. Images that
    the stores skipped are never drawn, nor are identities that are left with one modality.

    Args:
        visible_store: `image_store.ImageStore` of the visible images.
        infrared_store: of the infrared images.
        visible_identities: integers [len(visible_store)], of each image, skipped ones included.
        infrared_identities: integers [len(infrared_store)].
        augmentation: settings.
        identities_per_batch: P.
        images_per_identity: K, of each modality.
        seed: the run's seed.
        first_step: global step to start at, 0 unless resumed.
        total_steps: global step to stop before.
        steps_per_epoch: length of an epoch; 0 = `identity_sampling.steps_in_identity_epoch` of the usable
            images.
        wait: told when each batch arrives at the trainer.
        shards: the replicas whose parts of the batches are wanted.

    Returns:
        A dataset of known length. Its elements are dicts: visible and infrared, float32 [B, H, W, 3],
        augmented and normalised, B = P * K; labels, int32 [2B], visible rows first, the class of each
        image by `identity_sampling.class_labels` of all identities given, drawn or not. With `shards`,
        parts of them, as in `training_dataset`; a part may cut through the images of an identity.

    Raises:
        ValueError: see `TrainingBatches` and `identity_plan`; identities that are unknown or do not match
            the stores; first_step is negative or beyond total_steps; or the replicas cannot share the
            batch evenly.
    """
    _judge_steps(first_step, total_steps)
    batch_size = identities_per_batch * images_per_identity
    rows = shards.rows_per_replica(batch_size, "--identities_per_batch times --images_per_identity")
    stores = (visible_store, infrared_store)
    classes = _classes(stores, (visible_identities, infrared_identities))
    usable = [known[store.usable] for store, known in zip(stores, classes, strict=True)]
    sizes = (identities_per_batch, images_per_identity)
    steps = steps_per_epoch or steps_in_identity_epoch(*map(len, usable), *sizes)
    identity_plan(*usable, *sizes, seed, 0, 1)  # too few identities are an error now, not in the first step
    batches = TrainingBatches(
        *stores,
        augmentation,
        num_stripes=1,
        batch_size=batch_size,
        seed=seed,
        steps_per_epoch=steps,
        epoch_plan=lambda epoch: identity_plan(*usable, *sizes, seed, epoch, steps)[:2],
    )

    def labelled(step, part):
        visible, infrared, _ = batches(step, part)
        labels = [known[chosen] for known, chosen in zip(classes, batches.chosen(step, part), strict=True)]
        return visible, infrared, np.concatenate(labels)

    spec = {
        **_image_specs(rows, batches.image_shape),
        "labels": tf.TensorSpec((2 * rows,), tf.int32),
    }
    dataset = sharded_batches(labelled, spec, first_step, total_steps, batch_size, shards)
    return wait.attach(dataset, "labels", shards.local) if wait else dataset


def image_dataset(store, positions, batch_size: int, flip: bool = False, threads: int = 0) -> tf.data.Dataset:
    """Unaugmented images of one store in a given order, for the extraction of features.

    Args:
        store: `image_store.ImageStore`.
        positions: integers [n], which images of the store, in which order.
        batch_size: images in a batch, b.
        flip: whether images are mirrored left to right.
        threads: threads that read and normalise; 0 = one per core.

    Returns:
        A dataset of known length, ceil(n / b). Its elements are dicts: images, float32 [b, H, W, 3],
        normalised; weight, float32 [b], 1, or 0 on the padding of the last batch.

    Raises:
        ValueError: see `PlainBatches`.
    """
    batches = PlainBatches(store, positions, batch_size, flip, threads)
    spec = {
        "images": tf.TensorSpec((batch_size, *batches.image_shape, 3), tf.float32),
        "weight": tf.TensorSpec((batch_size,), tf.float32),
    }
    return numbered_batches(batches, spec, 0, batches.num_batches)


def evaluation_dataset(
    visible_store,
    infrared_store,
    num_stripes: int,
    batch_size: int,
    permutations_per_image: int,
    seed: int,
    max_images: int = 0,
    shards: Shards = WHOLE,
) -> tf.data.Dataset:
    """Unaugmented batches of held-out images, each under K fixed stripe orders; the same in every pass.

    Args:
        visible_store: `image_store.ImageStore` of the visible images; may be empty or of another length.
        infrared_store: of the infrared images; likewise.
        num_stripes: N, must divide H.
        batch_size: images per modality, B.
        permutations_per_image: K.
        seed: seed of the orders.
        max_images: images per modality, spread evenly over the store; 0 = all.
        shards: the replicas whose parts of the batches are wanted.

    Returns:
        A dataset of known length. Its elements are dicts: visible, infrared and permutation as in
        training; weight, float32 [2B], 1, or 0 on padding; index, int32 [2B], the image's position in its
        store, -1 on padding. Visible rows come first. With `shards`, parts of them, as in
        `training_dataset`, padding included: every replica gets as many.

    Raises:
        ValueError: see `EvaluationBatches`; or the replicas cannot share the batch evenly.
    """
    rows = shards.rows_per_replica(batch_size)
    batches = EvaluationBatches(
        visible_store, infrared_store, num_stripes, batch_size, permutations_per_image, seed, max_images
    )
    spec = {
        **_image_specs(rows, batches.image_shape),
        "permutation": tf.TensorSpec((2 * rows, num_stripes), tf.int32),
        "weight": tf.TensorSpec((2 * rows,), tf.float32),
        "index": tf.TensorSpec((2 * rows,), tf.int32),
    }
    return sharded_batches(batches, spec, 0, batches.num_batches, batch_size, shards)


def _image_specs(rows, image_shape):
    return dict.fromkeys(MODALITIES, tf.TensorSpec((rows, *image_shape, 3), tf.float32))


def _judge_steps(first_step, total_steps):
    if not 0 <= first_step <= total_steps:
        raise ValueError(
            f"Cannot start at step {first_step} of {total_steps}: expected 0 <= first_step <= total_steps. "
            "A checkpoint of a longer run needs at least its own --epochs."
        )


def _classes(stores, identities):
    """The class of each image of each store, int32, by the identities of both."""
    for modality, store, known in zip(MODALITIES, stores, identities, strict=True):
        if len(known) != len(store):
            raise ValueError(
                f"{len(known)} identities were given for {len(store)} {modality} images; expected one for "
                "each image of the store, in its order."
            )
    classes = class_labels(identity for known in identities for identity in known)
    return [np.array([classes[identity] for identity in known], np.int32) for known in identities]
