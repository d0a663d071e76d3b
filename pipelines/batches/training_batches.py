"""The training batch of a step, in NumPy: a pure function of the step, whatever the number of threads."""

import functools
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np

from mmgl_tf.flags.config import Augmentation
from mmgl_tf.pipelines.augmentation.augmix import augmix, draws_per_image, plan_augmix
from mmgl_tf.pipelines.augmentation.crop_flip_erase import (
    DRAWS_PER_CROP,
    DRAWS_PER_ERASE,
    crop_flip,
    erase_shuffled,
    plan_crop_flip,
    plan_erasing,
)
from mmgl_tf.pipelines.augmentation.pixel_operations import Scratch
from mmgl_tf.pipelines.augmentation.stripes import stripe_height
from mmgl_tf.pipelines.batches.batch_slots import SlotWriter
from mmgl_tf.pipelines.batches.buffer_pool import BufferPool
from mmgl_tf.pipelines.batches.cores import available_cores
from mmgl_tf.pipelines.random_plan import Stream, orders, uniforms
from mmgl_tf.pipelines.records import INFRARED, MODALITIES, VISIBLE

_IMAGES = (Stream.VISIBLE_IMAGES, Stream.INFRARED_IMAGES)
_STRIPES = (Stream.VISIBLE_STRIPES, Stream.INFRARED_STRIPES)

# epoch -> (visible, infrared), integers [steps, B] each: places in the stores' `usable`.
EpochPlan = Callable[[int], tuple[np.ndarray, np.ndarray]]


class TrainingBatches:
    """Augmented, normalised, stripe-shuffled batches by global step.

    Per image: zero-pad and crop, flip, AugMix, normalise, erase, shuffle stripes. Shuffling is last, as
    a warp of shuffled stripes would leak rows across their borders and so reveal the order. Crop, flip,
    AugMix and erasing differ between the two images of a pair; they share their order of stripes. With
    one stripe nothing is shuffled: so fine-tuning gets its images from here as well. Which images meet
    in a step is the plan's affair, see `sampling.pretraining_plan` and `identity_sampling.identity_plan`.

    OpenCV and NumPy release the interpreter lock in their kernels, so plain threads over the images of a
    batch do. OpenCV's own threads are switched off for the whole process: they would fight with these.

    Args:
        visible_store: `image_store.ImageStore` of the visible images, or anything with `usable` and
            `[i] -> uint8 [H, W, 1 or 3]` that threads may read at once.
        infrared_store: likewise, with images of the same size.
        augmentation: settings.
        num_stripes: N, must divide H; 1 = not shuffled.
        batch_size: images per modality, B.
        seed: the run's seed.
        steps_per_epoch: length of an epoch, at least 1.
        epoch_plan: the images of an epoch's steps, a pure function epoch -> (visible, infrared), each
            [steps_per_epoch, B], places in `usable` of the stores.

    Attributes:
        steps_per_epoch: as given.
        image_shape: (H, W).

    Raises:
        ValueError: stripes that do not divide H, an epoch without steps, stores of different image
            sizes, an empty erasing range.
    """

    def __init__(
        self,
        visible_store,
        infrared_store,
        augmentation: Augmentation,
        num_stripes: int,
        batch_size: int,
        seed: int,
        steps_per_epoch: int,
        epoch_plan: EpochPlan,
    ):
        cv2.setNumThreads(1)
        self._stores = (visible_store, infrared_store)
        self._settings = augmentation
        self._num_stripes = num_stripes
        self._batch_size = batch_size
        self._all_rows = range(batch_size)
        self._seed = seed
        if steps_per_epoch < 1:
            raise ValueError(f"steps_per_epoch is {steps_per_epoch}; expected at least 1 step in an epoch.")
        self.steps_per_epoch = steps_per_epoch
        self.image_shape = image_size(*self._stores)
        stripe_height(self.image_shape[0], num_stripes)
        if augmentation.erase_min_area > augmentation.erase_max_area:
            raise ValueError(
                f"--erase_min_area={augmentation.erase_min_area} is above "
                f"--erase_max_area={augmentation.erase_max_area}; expected min <= max."
            )
        # Bound here, not on the method: a cache on the class would keep dead stores alive.
        self._epoch_plan = functools.lru_cache(maxsize=2)(epoch_plan)
        self._writer = SlotWriter(self.image_shape[1])
        # By rows: with the replicas served grow the batches that are kept ready, and so the memory in use.
        self._buffers = {}
        self._local = threading.local()
        threads = augmentation.data_threads or available_cores()
        self._pool = ThreadPoolExecutor(threads, "augment") if threads > 1 else None
        self._threads = threads

    def __call__(self, step: int, rows: range | None = None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The batch of a global step, or some of its rows; nothing is drawn or read for the others.

        Args:
            step: from 0; the epoch is step // steps_per_epoch.
            rows: which rows of each modality, n of 0 to B - 1; None = all, n = B.

        Returns:
            (visible, infrared, permutation): float32 [n, H, W, 3] twice, int32 [2n, N] with the visible
            rows first. Equal to the same rows of the whole batch bit for bit.
        """
        rows = self._all_rows if rows is None else rows
        epoch, place = divmod(int(step), self.steps_per_epoch)
        positions = place * self._batch_size + np.array(rows)
        order = self._orders(epoch, positions)
        chosen = self.chosen(step, rows)
        if rows not in self._buffers:
            self._buffers[rows] = BufferPool((len(rows), *self.image_shape, 3))
        jobs = []
        batch = []
        for modality in (VISIBLE, INFRARED):
            out = self._buffers[rows].take()
            batch.append(out)
            augment = self._planned(modality, epoch, positions, order[modality], out)
            store = self._stores[modality]
            jobs += [(augment, store, index, row) for row, index in enumerate(chosen[modality].tolist())]
        if self._pool is None:
            _run(jobs)
        else:
            # Every n-th job, so that each thread gets grey and colour images alike.
            shares = [jobs[first :: self._threads] for first in range(self._threads)]
            for done in [self._pool.submit(_run, share) for share in shares]:
                done.result()
        return batch[VISIBLE], batch[INFRARED], np.concatenate(order)

    def chosen(self, step: int, rows: range | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Which images a global step shows.

        Args:
            step: from 0.
            rows: as in a call.

        Returns:
            (visible, infrared): int64 [n] each, positions in the stores.
        """
        rows = self._all_rows if rows is None else rows
        epoch, place = divmod(int(step), self.steps_per_epoch)
        plan = self._epoch_plan(epoch)
        return tuple(
            store.usable[indices[place, rows]] for store, indices in zip(self._stores, plan[:2], strict=True)
        )

    def _orders(self, epoch, positions):
        visible = orders(self._seed, _STRIPES[VISIBLE], epoch, positions, self._num_stripes)
        if self._settings.share_permutation:
            return visible, visible
        return visible, orders(self._seed, _STRIPES[INFRARED], epoch, positions, self._num_stripes)

    def _planned(self, modality, epoch, positions, order, out):
        """All decisions for one modality's half of a batch, in a function (image, row) that acts on them."""
        settings = self._settings
        mixes = settings.augmix_modalities in ("both", MODALITIES[modality])
        erases = settings.erase_modalities in ("both", MODALITIES[modality])
        mix_draws = draws_per_image(settings.augmix_width, settings.augmix_depth)
        # One call for all that concerns an image. All is drawn always, so that switching one thing off
        # leaves the others as they were; AugMix last, as its share depends on width and depth.
        count = DRAWS_PER_CROP + DRAWS_PER_ERASE + (mix_draws if mixes else 0)
        draws = uniforms(self._seed, _IMAGES[modality], epoch, positions, count)
        crop_draws, erase_draws, mix_draws = np.split(
            draws, (DRAWS_PER_CROP, DRAWS_PER_CROP + DRAWS_PER_ERASE), axis=1
        )
        height, width = self.image_shape
        crops = plan_crop_flip(crop_draws, settings.pad_pixels, settings.flip_probability)
        mix = None
        if mixes:
            mix = plan_augmix(
                mix_draws,
                settings.augmix_severity,
                settings.augmix_width,
                settings.augmix_depth,
                height,
                width,
            )
        boxes = None
        if erases:
            boxes = plan_erasing(
                erase_draws,
                settings.erase_probability,
                settings.erase_min_area,
                settings.erase_max_area,
                settings.erase_min_aspect,
                height,
                width,
            )

        def augment(image, row):
            scratch = self._scratch(image.shape[2])
            crop_flip(image, crops, row, settings.pad_pixels, scratch.image)
            if mix is None:
                pixels = scratch.image.reshape(height, -1)
            else:
                pixels = augmix(scratch.image, mix, row, scratch, settings.warp)
            self._writer.write(pixels, order[row], out[row], scratch.mixed_rgb)
            if boxes is not None:
                erase_shuffled(out[row], boxes[row], order[row])

        return augment

    def _scratch(self, channels):
        name = f"scratch{channels}"
        if not hasattr(self._local, name):
            setattr(self._local, name, Scratch(*self.image_shape, channels))
        return getattr(self._local, name)


def _run(jobs):
    for augment, store, index, row in jobs:
        augment(store[index], row)


def image_size(visible_store, infrared_store) -> tuple[int, int]:
    """The common (height, width) of two stores' images.

    Args:
        visible_store: as for `TrainingBatches`; at least one store must have a usable image.
        infrared_store: likewise.

    Returns:
        (H, W).

    Raises:
        ValueError: the sizes differ, or neither store has an image.
    """
    stores = [store for store in (visible_store, infrared_store) if len(store.usable)]
    sizes = [store[int(store.usable[0])].shape[:2] for store in stores]
    if not sizes:
        raise ValueError("Neither modality has a usable image. Check --data_dir.")
    if len(set(sizes)) > 1:
        raise ValueError(
            f"Visible images are {sizes[0]}, infrared ones {sizes[1]} (height, width). "
            "Open both stores with the same --image_height and --image_width."
        )
    return sizes[0]
