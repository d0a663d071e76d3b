"""Index plans and images -> `tf.data` batches for training and evaluation."""

import numpy as np
import tensorflow as tf

from flags.config import Augmentation
from pipelines.data_wait import DataWait
from pipelines.evaluation_batches import EvaluationBatches
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
        ValueError: see `TrainingBatches`; or first_step is negative or beyond total_steps.
    """
    if not 0 <= first_step <= total_steps:
        raise ValueError(
            f"Cannot start at step {first_step} of {total_steps}: expected 0 <= first_step <= total_steps. "
            "A checkpoint of a longer run needs at least its own --epochs."
        )
    batches = TrainingBatches(
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
    return wait.attach(dataset) if wait else dataset


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
