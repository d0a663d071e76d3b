"""Index plans and images -> `tf.data` batches for training and evaluation."""

import functools

import numpy as np
import tensorflow as tf

from flags.config import Augmentation
from pipelines.data_wait import DataWait
from pipelines.evaluation_batches import EvaluationBatches
from pipelines.identity_sampling import class_labels, identity_plan, steps_in_identity_epoch
from pipelines.plain_batches import PlainBatches
from pipelines.records import MODALITIES
from pipelines.sampling import pretraining_plan, steps_in_epoch
from pipelines.training_batches import TrainingBatches

PREFETCHED_BATCHES = 2


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

    Returns:
        A dataset of known length. Its elements are dicts: visible and infrared, float32 [B, H, W, 3],
        augmented, normalised, stripes shuffled; permutation, int32 [2B, N], visible rows first, slot i
        shows stripe permutation[b, i].

    Raises:
        ValueError: see `TrainingBatches` and `sampling.steps_in_epoch`; or first_step is negative or
            beyond total_steps.
    """
    _judge_steps(first_step, total_steps)
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
    images = tf.TensorSpec((batch_size, *batches.image_shape, 3), tf.float32)
    spec = {
        "visible": images,
        "infrared": images,
        "permutation": tf.TensorSpec((2 * batch_size, num_stripes), tf.int32),
    }
    dataset = _numbered_batches(batches, spec, first_step, total_steps)
    return wait.attach(dataset, "permutation") if wait else dataset


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

    Returns:
        A dataset of known length. Its elements are dicts: visible and infrared, float32 [B, H, W, 3],
        augmented and normalised, B = P * K; labels, int32 [2B], visible rows first, the class of each
        image by `identity_sampling.class_labels` of all identities given, drawn or not.

    Raises:
        ValueError: see `TrainingBatches` and `identity_plan`; identities that are unknown or do not match
            the stores; or first_step is negative or beyond total_steps.
    """
    _judge_steps(first_step, total_steps)
    stores = (visible_store, infrared_store)
    classes = _classes(stores, (visible_identities, infrared_identities))
    usable = [known[store.usable] for store, known in zip(stores, classes, strict=True)]
    sizes = (identities_per_batch, images_per_identity)
    steps = steps_per_epoch or steps_in_identity_epoch(*map(len, usable), *sizes)
    identity_plan(*usable, *sizes, seed, 0, 1)  # too few identities are an error now, not in the first step
    batch_size = identities_per_batch * images_per_identity
    batches = TrainingBatches(
        *stores,
        augmentation,
        num_stripes=1,
        batch_size=batch_size,
        seed=seed,
        steps_per_epoch=steps,
        epoch_plan=lambda epoch: identity_plan(*usable, *sizes, seed, epoch, steps)[:2],
    )

    def labelled(step):
        visible, infrared, _ = batches(step)
        labels = [known[chosen] for known, chosen in zip(classes, batches.chosen(step), strict=True)]
        return visible, infrared, np.concatenate(labels)

    images = tf.TensorSpec((batch_size, *batches.image_shape, 3), tf.float32)
    spec = {"visible": images, "infrared": images, "labels": tf.TensorSpec((2 * batch_size,), tf.int32)}
    dataset = _numbered_batches(labelled, spec, first_step, total_steps)
    return wait.attach(dataset, "labels") if wait else dataset


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
    return _numbered_batches(batches, spec, 0, batches.num_batches)


def evaluation_dataset(
    visible_store,
    infrared_store,
    num_stripes: int,
    batch_size: int,
    permutations_per_image: int,
    seed: int,
    max_images: int = 0,
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

    Returns:
        A dataset of known length. Its elements are dicts: visible, infrared and permutation as in
        training; weight, float32 [2B], 1, or 0 on padding; index, int32 [2B], the image's position in its
        store, -1 on padding. Visible rows come first.

    Raises:
        ValueError: see `EvaluationBatches`.
    """
    batches = EvaluationBatches(
        visible_store, infrared_store, num_stripes, batch_size, permutations_per_image, seed, max_images
    )
    images = tf.TensorSpec((batch_size, *batches.image_shape, 3), tf.float32)
    spec = {
        "visible": images,
        "infrared": images,
        "permutation": tf.TensorSpec((2 * batch_size, num_stripes), tf.int32),
        "weight": tf.TensorSpec((2 * batch_size,), tf.float32),
        "index": tf.TensorSpec((2 * batch_size,), tf.int32),
    }
    return _numbered_batches(batches, spec, 0, batches.num_batches)


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


def _numbered_batches(batches, spec, first, end):
    """batches(first), ..., batches(end - 1) as a dataset, made ahead of their use by one thread."""
    types = [part.dtype for part in spec.values()]

    def make(number):
        # stateful=False: a pure function of its number, as tf.data may want to know.
        parts = tf.numpy_function(batches, [number], types, stateful=False)
        for part, known in zip(parts, spec.values(), strict=True):
            part.set_shape(known.shape)
        return dict(zip(spec, parts, strict=True))

    options = tf.data.Options()
    options.deterministic = True
    # One batch at a time: the threads are inside the batch, where an image is the unit of work.
    options.experimental_optimization.map_parallelization = False
    # Nothing is left to tune, and the tuner's thread can hold the end of an iterator up for a minute.
    options.autotune.enabled = False
    numbers = tf.data.Dataset.range(np.int64(first), np.int64(end))
    return numbers.map(make).prefetch(PREFETCHED_BATCHES).with_options(options)
