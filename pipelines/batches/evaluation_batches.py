"""Held-out images under fixed stripe orders, in NumPy: no augmentation, the same in every epoch."""

import hashlib

import numpy as np

from mmgl_tf.pipelines.augmentation.stripes import stripe_height
from mmgl_tf.pipelines.batches.batch_slots import SlotWriter
from mmgl_tf.pipelines.batches.sampling import evenly_spread
from mmgl_tf.pipelines.batches.training_batches import image_size
from mmgl_tf.pipelines.random_plan import Stream, orders
from mmgl_tf.pipelines.records import INFRARED, VISIBLE


class EvaluationBatches:
    """Normalised, stripe-shuffled batches of every image under K orders.

    An image's orders depend on (seed, its pixels, k) alone: not on where its file lies, nor on which
    other images are held out, so a number keeps its meaning when the subset changes.

    Args:
        visible_store: as for `TrainingBatches`; may be empty.
        infrared_store: likewise; the two may differ in length.
        num_stripes: N, must divide H.
        batch_size: images per modality, B.
        permutations_per_image: K, consecutive in the sequence.
        seed: seed of the orders.
        max_images: images per modality, spread evenly over the store; 0 = all.

    Attributes:
        num_batches: batches until both modalities are through.
        image_shape: (H, W).

    Raises:
        ValueError: stripes that do not divide H, stores without any image or of different image sizes.
    """

    def __init__(
        self,
        visible_store,
        infrared_store,
        num_stripes: int,
        batch_size: int,
        permutations_per_image: int,
        seed: int,
        max_images: int = 0,
    ):
        self._stores = (visible_store, infrared_store)
        self._num_stripes = num_stripes
        self._batch_size = batch_size
        self._permutations = permutations_per_image
        self._seed = seed
        self.image_shape = image_size(*self._stores)
        stripe_height(self.image_shape[0], num_stripes)
        self._indices = [store.usable[evenly_spread(len(store.usable), max_images)] for store in self._stores]
        most = max(len(indices) for indices in self._indices) * permutations_per_image
        self.num_batches = -(-most // batch_size)
        self._writer = SlotWriter(self.image_shape[1])

    def __call__(self, number: int, rows: range | None = None) -> tuple[np.ndarray, ...]:
        """One batch, or some of its rows; no image of the others is read.

        Args:
            number: from 0 to num_batches - 1.
            rows: which rows of each modality, n of 0 to B - 1; None = all, n = B.

        Returns:
            (visible, infrared, permutation, weight, index): float32 [n, H, W, 3] twice; int32 [2n, N];
            float32 [2n], 0 on padding; int32 [2n], the image's position in its store, -1 on padding.
            Visible rows come first. Padding images are black after normalisation's shift (all 0), their
            order is the identity.
        """
        rows = range(self._batch_size) if rows is None else rows
        size = len(rows)
        images = np.zeros((2, size, *self.image_shape, 3), np.float32)
        order = np.tile(np.arange(self._num_stripes, dtype=np.int32), (2, size, 1))
        weight = np.zeros((2, size), np.float32)
        index = np.full((2, size), -1, np.int32)
        for modality in (VISIBLE, INFRARED):
            indices = self._indices[modality]
            entries = number * self._batch_size + np.array(rows)
            entries = entries[entries < len(indices) * self._permutations].tolist()
            for row, entry in enumerate(entries):
                image_number, repeat = divmod(entry, self._permutations)
                index[modality, row] = indices[image_number]
                weight[modality, row] = 1.0
                image = np.ascontiguousarray(self._stores[modality][int(indices[image_number])])
                order[modality, row] = self._order(image, repeat)
                pixels = image.reshape(len(image), -1)
                rgb = np.empty((*self.image_shape, 3), np.float32)
                self._writer.write(pixels, order[modality, row], images[modality, row], rgb)
        flat = (-1, self._num_stripes)
        return images[VISIBLE], images[INFRARED], order.reshape(flat), weight.reshape(-1), index.reshape(-1)

    def _order(self, image, repeat):
        salt = self._seed.to_bytes(16, "little")
        digest = hashlib.blake2b(image, digest_size=8, salt=salt).digest()
        key = int.from_bytes(digest, "little")
        return orders(key, Stream.EVALUATION_STRIPES, 0, [repeat], self._num_stripes)[0]
