"""Embeddings of a split's images: what retrieval and the pictures work on."""

import time

import numpy as np
import tensorflow as tf

from mmgl_tf.pipelines.batches.build import image_dataset
from mmgl_tf.pipelines.records import MODALITIES
from mmgl_tf.retrieval.labelled import LabelledFeatures
from mmgl_tf.retrieval.unit_length import unit_length
from mmgl_tf.training.guards import NonFiniteNetwork


def extractor(embedder, config):
    """The `Extractor` of an evaluation.

    Args:
        embedder: built.
        config: `mmgl_tf.flags.config.Config`, for the batch size, --flip and --distance.
    """
    own = config.evaluation
    return Extractor(embedder, config.optimization.batch_size, own.flip, own.distance == "euclidean")


class Extractor:
    """Runs an embedder over image stores; one graph per modality.

    Args:
        embedder: built `mmgl_tf.finetuning.embedder.Embedder`.
        batch_size: images in a batch.
        flip: average the embeddings of an image and of its mirror image, then scale to unit length again.
        lengths: keep how long embeddings were before they were scaled, so that they are compared by their
            Euclidean distance; not with `flip`.
    """

    def __init__(self, embedder, batch_size, flip=False, lengths=False):
        self.batch_size = batch_size
        self.flip = flip
        self.lengths = lengths
        self.embedder = embedder
        self._traced = {}

    def __call__(self, store, samples, modality, progress=None):
        """Embeddings of one modality's usable images.

        Args:
            store: `mmgl_tf.pipelines.images.image_store.ImageStore`.
            samples: the store's samples, in its order.
            modality: VISIBLE or INFRARED.
            progress: called as progress(done, total, seconds), or None.

        Returns:
            {"pool": LabelledFeatures, "neck": ...} in the store's order, skipped images left out.

        Raises:
            NonFiniteNetwork: an embedding is not a number, as where batch norm's moving statistics do not fit
                weights that exploded.
        """
        positions = store.usable
        found = self._pass(store, positions, modality, False, progress)
        for name, value in found.items():
            bad = np.count_nonzero(~np.isfinite(value).all(axis=1))
            if bad:
                raise NonFiniteNetwork(
                    f"{bad} of {len(value)} {MODALITIES[modality]} embeddings ({name}) are not finite: the "
                    "network diverged. Train it with a smaller --learning_rate or --clip_norm=10."
                )
        if self.flip:
            mirrored = self._pass(store, positions, modality, True, progress)
            found = {name: unit_length(found[name] + mirrored[name]) for name in found}
        kept = [samples[position] for position in positions.tolist()]
        identities = np.array([sample.identity for sample in kept], np.int64)
        cameras = np.array([-1 if sample.camera is None else sample.camera for sample in kept], np.int64)
        if not self.lengths:
            return {name: LabelledFeatures(value, identities, cameras) for name, value in found.items()}
        return {
            name: LabelledFeatures(
                unit_length(value), identities, cameras, np.linalg.norm(value, axis=1).astype(np.float32)
            )
            for name, value in found.items()
        }

    def _pass(self, store, positions, modality, flip, progress):
        parts = {}
        started = time.perf_counter()
        done = 0
        for batch in image_dataset(store, positions, self.batch_size, flip=flip):
            number = int(np.sum(batch["weight"].numpy() > 0))
            embed = self._embed(MODALITIES[modality], batch["images"])
            for name, value in embed(batch["images"]).items():
                parts.setdefault(name, []).append(value.numpy()[:number])
            done += number
            if progress:
                progress(done, len(positions), time.perf_counter() - started)
        return {name: np.concatenate(values) for name, values in parts.items()}

    def _embed(self, modality, images):
        """The graph for one modality. Concrete: TensorFlow counts traces by source line and would warn."""
        if modality not in self._traced:
            embed = self.embedder if self.lengths else self.embedder.embed
            function = tf.function(lambda batch: embed({modality: batch}), autograph=False)
            spec = tf.TensorSpec(images.shape, images.dtype)
            self._traced[modality] = function.get_concrete_function(spec)
        return self._traced[modality]
