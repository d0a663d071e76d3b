"""Held-out images as a recipe wants them, in NumPy: the same in every epoch."""

import hashlib

import numpy as np

from mmgl_tf.pipelines.batches.recipe import HeldOut
from mmgl_tf.pipelines.batches.recipe_engine import RecipeEngine
from mmgl_tf.pipelines.batches.sampling import evenly_spread
from mmgl_tf.pipelines.images.image_size import image_size
from mmgl_tf.pipelines.random_plan import Draws, Stream, shuffles

_ORDERS = (Stream.VISIBLE_HELD_OUT_ORDER, Stream.INFRARED_HELD_OUT_ORDER)


class HeldOutBatches:
    """Batches of images that are not trained on.

    What is drawn for an image depends on (seed, its pixels, how often it was shown before) alone: not on
    where its file lies, nor on which other images are held out, so a number keeps its meaning when the
    subset changes.

    Args:
        stores: as for `TrainingBatches`; they may differ in length, and one may be empty.
        held_out: what is wanted, and how often.
        batch_size: images per modality, B; with `whole_batches` fewer if a modality has fewer.
        seed: seed of all draws.
        max_images: images per modality, spread evenly over the store; 0 = all.
        threads: threads that augment; 0 = one per core.
        parts: into how many equal parts a batch will be cut; whole batches are made a multiple of it.
        classes: where labels are wanted, (visible, infrared) integers [len(store)], None where a modality is
            not shown. Only to be compared with each other: held-out identities are of no training class.

    Attributes:
        batch_size: images per modality, b.
        num_batches: batches until every modality is through; whole ones, until the larger is, but for images
            at its end that fill none.

    Raises:
        ValueError: see `RecipeEngine` and `image_size`; labels are wanted, and no classes given; rows are
            wanted; or whole batches, and a modality has no images, or fewer than `parts`.
    """

    def __init__(
        self,
        stores,
        held_out: HeldOut,
        batch_size: int,
        seed: int,
        max_images=0,
        threads=0,
        parts=1,
        classes=None,
    ):
        recipe = held_out.recipe
        if recipe.numbered:
            raise ValueError(
                "The recipe wants the rows of held-out images, but nothing may be drawn for these. Take Rows "
                "out of the recipe."
            )
        if recipe.labelled and classes is None:
            raise ValueError(
                "The recipe wants labels of held-out images, but nobody says who is on them. Give `classes`, "
                "which takes a labelled data set, or take Labels out of the recipe."
            )
        self._classes = classes if recipe.labelled else None
        self._stores = stores
        self._seed = seed
        self._repeats = held_out.repeats
        self._whole = held_out.whole_batches
        self._engine = RecipeEngine(recipe, image_size([stores[m] for m in recipe.modalities]), threads)
        self._indices = {}
        for modality in recipe.modalities:
            usable = stores[modality].usable
            self._indices[modality] = usable[evenly_spread(len(usable), max_images)]
        numbers = [len(indices) for indices in self._indices.values()]
        self.batch_size = batch_size
        if self._whole:
            fewest = min(batch_size, *numbers)
            self.batch_size = fewest - fewest % parts
            if not self.batch_size:
                raise ValueError(
                    f"{numbers} held-out images of the modalities cannot fill a batch of {parts} parts; this "
                    "method needs some of each. Hold images of every modality out, or none."
                )
            for modality, indices in self._indices.items():
                (order,) = shuffles(seed, _ORDERS[modality], 0, 1, len(indices))
                self._indices[modality] = indices[order]
            self.num_batches = max(numbers) * self._repeats // self.batch_size
        else:
            self.num_batches = -(-max(numbers) * self._repeats // batch_size)

    def specs(self, rows: int) -> dict[str, tuple[tuple[int, ...], type]]:
        """Name -> (shape, dtype) of a batch of `rows` images per modality."""
        both = rows * len(self._engine.recipe.modalities)
        labels = {"labels": ((both,), np.int32)} if self._classes else {}
        return self._engine.specs(rows) | {
            **labels,
            "weight": ((both,), np.float32),
            "index": ((both,), np.int32),
        }

    def __call__(self, number: int, rows: range | None = None) -> dict[str, np.ndarray]:
        """One batch, or some of its rows; no image of the others is read.

        Args:
            number: from 0 to num_batches - 1.
            rows: which rows of each modality, n of 0 to b - 1; None = all, n = b.

        Returns:
            What the recipe asks for, see `TrainingBatches`; and weight, float32 [2n], 0 on padding, and
            index, int32 [2n], the image's position in its store, -1 on padding. Padding images are 0, and
            so are their targets; their order of stripes is the identity, their label -1.
        """
        rows = range(self.batch_size) if rows is None else rows
        entries = int(number) * self.batch_size + np.array(rows)
        index, draws, images = {}, {}, {}
        for modality in self._engine.recipe.modalities:
            index[modality], repeats = self._entries(modality, entries)
            images[modality] = [None] * len(rows)
            draws[modality] = Draws(np.zeros(len(rows), np.uint64), 0, repeats, held_out=True)

        def read(place):
            modality, row = place
            image = self._stores[modality][int(index[modality][row])]
            images[modality][row] = image
            draws[modality].seed[row] = self._key(image)

        shown = {modality: positions >= 0 for modality, positions in index.items()}
        self._engine.each(read, [(m, row) for m in index for row in np.flatnonzero(shown[m]).tolist()])
        batch = self._engine(draws, lambda modality, row: images[modality][row], shown)
        if int(number) == self.num_batches - 1:
            # TensorFlow never lets go of the function behind a data set, and each validation makes one.
            self._engine.forget_buffers()
        together = np.concatenate(list(index.values()), dtype=np.int32)
        if self._classes:
            labels = [np.where(shown[m], self._classes[m][positions], -1) for m, positions in index.items()]
            batch["labels"] = np.concatenate(labels, dtype=np.int32)
        return batch | {"weight": (together >= 0).astype(np.float32), "index": together}

    def _entries(self, modality, entries):
        """The image of each entry, -1 beyond the last, and how often it was shown before."""
        indices = self._indices[modality]
        if self._whole:
            repeats, places = np.divmod(entries, len(indices))
            return indices[places], repeats
        places, repeats = np.divmod(entries, self._repeats)
        beyond = places >= len(indices)
        if beyond.all():
            return np.full(len(entries), -1), repeats
        return np.where(beyond, -1, indices[np.minimum(places, len(indices) - 1)]), repeats

    def _key(self, image):
        salt = self._seed.to_bytes(16, "little")
        digest = hashlib.blake2b(np.ascontiguousarray(image), digest_size=8, salt=salt).digest()
        return int.from_bytes(digest, "little")
