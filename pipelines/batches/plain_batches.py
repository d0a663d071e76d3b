"""Unaugmented images of one modality in a given order, in NumPy: what features are extracted from."""

import cv2
import numpy as np

from mmgl_tf.pipelines.augmentation.working_memory import working_memory
from mmgl_tf.pipelines.batches.buffer_pool import BufferPool
from mmgl_tf.pipelines.batches.worker_threads import WorkerThreads
from mmgl_tf.pipelines.layouts.layout import UNSHUFFLED
from mmgl_tf.pipelines.layouts.slot_writer import SlotWriter


class PlainBatches:
    """Normalised images by batch number; each batch is full, the last one padded.

    TensorFlow never lets go of the Python function behind a data set, and a validation makes one each
    time. So memory is dropped after the last batch.

    Args:
        store: `image_store.ImageStore`, or anything with `usable` and `[i] -> uint8 [H, W, 1 or 3]` that
            threads may read at once.
        positions: integers [n], which images of the store, in which order; repeats are allowed.
        batch_size: images in a batch, b.
        flip: whether images are mirrored left to right.
        threads: threads that read and normalise; 0 = one per core.

    Attributes:
        num_batches: batches until all positions are through.
        image_shape: (H, W).

    Raises:
        ValueError: the store has no usable image, or a position is not one of a usable image.
    """

    def __init__(self, store, positions, batch_size: int, flip: bool = False, threads: int = 0):
        if batch_size < 1:
            raise ValueError(f"batch_size is {batch_size}; expected at least 1 image in a batch.")
        if not len(store.usable):
            raise ValueError("The store has no usable image. Check --data_dir.")
        self._positions = np.asarray(positions, np.int64).reshape(-1)
        unusable = np.setdiff1d(self._positions, store.usable)
        if len(unusable):
            raise ValueError(
                f"Images {unusable[:5].tolist()} were asked for, {len(unusable)} in all, which the store of "
                f"{len(store)} images does not have or has skipped. Take positions from store.usable."
            )
        self._store = store
        self._batch_size = batch_size
        self._flip = flip
        self.num_batches = -(-len(self._positions) // batch_size)
        self.image_shape = store[int(store.usable[0])].shape[:2]
        self._writer = SlotWriter(self.image_shape[1])
        self._buffers = self._fresh_buffers()
        self._threads = WorkerThreads(threads)

    def __call__(self, number: int) -> dict[str, np.ndarray]:
        """One batch.

        Args:
            number: from 0 to num_batches - 1.

        Returns:
            images, float32 [b, H, W, 3]; weight, float32 [b], 1, or 0 on padding, whose images are 0.
        """
        first = int(number) * self._batch_size
        chosen = self._positions[first : first + self._batch_size].tolist()
        images = self._buffers.take()
        images[len(chosen) :] = 0.0
        self._threads.each(lambda place: self._fill(images[place[0]], place[1]), list(enumerate(chosen)))
        if int(number) == self.num_batches - 1:
            self._buffers = self._fresh_buffers()
        weight = (np.arange(self._batch_size) < len(chosen)).astype(np.float32)
        return {"images": images, "weight": weight}

    def _fill(self, out, position):
        image = self._store[position]
        pixels = cv2.flip(image, 1).reshape(image.shape) if self._flip else image
        self._writer.write(pixels, UNSHUFFLED, out, working_memory())

    def _fresh_buffers(self):
        return BufferPool((self._batch_size, *self.image_shape, 3))
