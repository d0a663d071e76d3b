"""Recipes, plans and images -> `tf.data` batches for training and evaluation."""

import tensorflow as tf

from mmgl_tf.pipelines.batches.data_wait import DataWait
from mmgl_tf.pipelines.batches.held_out_batches import HeldOutBatches
from mmgl_tf.pipelines.batches.numbered_batches import numbered_batches, sharded_batches
from mmgl_tf.pipelines.batches.plain_batches import PlainBatches
from mmgl_tf.pipelines.batches.plans import BatchPlan
from mmgl_tf.pipelines.batches.recipe import HeldOut, Recipe
from mmgl_tf.pipelines.batches.shards import WHOLE, Shards
from mmgl_tf.pipelines.batches.training_batches import TrainingBatches


def training_dataset(
    stores,
    recipe: Recipe,
    plan: BatchPlan,
    first_step: int,
    total_steps: int,
    threads: int = 0,
    wait: DataWait | None = None,
    shards: Shards = WHOLE,
) -> tf.data.Dataset:
    """Training batches of the global steps first_step, ..., total_steps - 1.

    A batch is a pure function of its step (see `TrainingBatches`), so a run that is resumed passes
    another `first_step` and gets the very batches it would have got.

    Args:
        stores: (visible, infrared) `image_store.ImageStore`s; None for a modality that is not shown.
        recipe: what a batch consists of.
        plan: which images meet in which step: `plans.image_plan` or `plans.people_plan`.
        first_step: global step to start at, 0 unless resumed.
        total_steps: global step to stop before.
        threads: threads that augment; 0 = one per core.
        wait: told when each batch arrives at the trainer.
        shards: the replicas whose parts of the batches are wanted.

    Returns:
        A dataset of known length. Its elements are dicts of the recipe's views and targets, e.g. visible
        and infrared, float32 [B, H, W, 3], augmented and normalised; permutation, int32 [2B, N]; labels,
        int32 [2B]; visible rows first. With `shards`, an element is a replica's part, B / total in place of
        B, and there are shards.local of them for each step, in the order that `Shards` states; a part may
        cut through the images of an identity.

    Raises:
        ValueError: see `TrainingBatches`; first_step is negative or beyond total_steps; or the replicas
            cannot share the batch evenly.
    """
    if not 0 <= first_step <= total_steps:
        raise ValueError(
            f"Cannot start at step {first_step} of {total_steps}: expected 0 <= first_step <= total_steps. "
            "A checkpoint of a longer run needs at least its own --epochs."
        )
    rows = shards.rows_per_replica(plan.batch_size, plan.sized_by)
    batches = TrainingBatches(stores, recipe, plan, threads)
    spec = _tensor_specs(batches.specs(rows))
    dataset = sharded_batches(batches, spec, first_step, total_steps, plan.batch_size, shards)
    return wait.attach(dataset, shards.local) if wait else dataset


def held_out_dataset(
    stores,
    held_out: HeldOut,
    batch_size: int,
    seed: int,
    max_images: int = 0,
    threads: int = 0,
    shards: Shards = WHOLE,
    classes=None,
) -> tf.data.Dataset:
    """Batches of images that are not trained on; the same in every pass.

    Args:
        stores: (visible, infrared) `image_store.ImageStore`s; may be of different lengths, and None for a
            modality that is not shown.
        held_out: what a batch consists of, and how often each image is shown.
        batch_size: images per modality, B.
        seed: seed of all draws.
        max_images: images per modality, spread evenly over the store; 0 = all.
        threads: threads that augment; 0 = one per core.
        shards: the replicas whose parts of the batches are wanted.
        classes: see `HeldOutBatches`.

    Returns:
        A dataset of known length. Its elements are dicts: views and targets as in training; weight, float32
        [2B], 1, or 0 on padding; index, int32 [2B], the image's position in its store, -1 on padding. With
        `shards`, parts of them, as in `training_dataset`, padding included: every replica gets as many.

    Raises:
        ValueError: see `HeldOutBatches`; or the replicas cannot share the batch evenly.
    """
    shards.rows_per_replica(batch_size)
    batches = HeldOutBatches(stores, held_out, batch_size, seed, max_images, threads, shards.total, classes)
    spec = _tensor_specs(batches.specs(shards.rows_per_replica(batches.batch_size)))
    return sharded_batches(batches, spec, 0, batches.num_batches, batches.batch_size, shards)


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


def _tensor_specs(specs):
    return {name: tf.TensorSpec(shape, tf.as_dtype(dtype)) for name, (shape, dtype) in specs.items()}
