"""How well validation identities are found after an epoch of fine-tuning; this picks the best weights."""

import numpy as np

from mmgl_tf.modes.features import Extractor
from mmgl_tf.pipelines.records import INFRARED, VISIBLE
from mmgl_tf.retrieval.chance import chance_of
from mmgl_tf.retrieval.geometry import geometry
from mmgl_tf.retrieval.labelled import LabelledFeatures
from mmgl_tf.retrieval.protocols import evaluate, settings_of


class ValidationRetrieval:
    """Searches the validation identities by the protocol's first setting and the embedder's first feature.

    Args:
        embedder: built `Embedder`.
        splits: `mmgl_tf.pipelines.records.DatasetSplits` with a validation split.
        stores: {(split name, modality): ImageStore}.
        batch_size: images in a batch.
        every_epochs: epochs between two searches.
        total_epochs: length of the run.
        epoch: finished epochs before the first look; -1 where the untrained network is looked at too.
    """

    # What TensorBoard's table of settings shows beside them.
    watched = ("validation/rank1", "validation/mAP")

    def __init__(self, embedder, splits, stores, batch_size, every_epochs, total_epochs, epoch):
        self.feature = embedder.FEATURES[0]
        self.extract = Extractor(embedder, batch_size)
        self.stores = {modality: stores["validation", modality] for modality in (VISIBLE, INFRARED)}
        self.samples = {modality: splits.validation.of_modality(modality) for modality in (VISIBLE, INFRARED)}
        self.protocol = splits.query.protocol or splits.validation.protocol
        self.every_epochs = every_epochs
        self.total_epochs = total_epochs
        self.epoch = epoch

    def __call__(self):
        """Figures of the present weights, or none where it is not yet time to look.

        Returns:
            {"validation/rank1", "validation/mAP", "validation/mINP": fractions, "embedding/...": geometry}.
        """
        self.epoch += 1
        if self.epoch % self.every_epochs and self.epoch != self.total_epochs:
            return {}
        found = {
            modality: self.extract(self.stores[modality], self.samples[modality], modality)[self.feature]
            for modality in (VISIBLE, INFRARED)
        }
        search, shots, direction = self._setting()
        result = evaluate(*self._sides(found), self.protocol, search=search, shots=shots, direction=direction)
        cell = result.as_dict()
        figures = {f"validation/{name}": cell[name]["mean"] for name in ("rank1", "mAP", "mINP")}
        shape = geometry(
            found[VISIBLE].features,
            found[INFRARED].features,
            found[VISIBLE].identities,
            found[INFRARED].identities,
        )
        figures |= {f"embedding/{name}": value for name, value in shape.items()}
        return {name: float(value) for name, value in figures.items() if np.isfinite(value)}

    def chance(self):
        """The level of chance of the search's mAP, `mmgl_tf.retrieval.chance.Chance`; no network is asked."""
        known = {
            modality: without_features([self.samples[modality][place] for place in store.usable.tolist()])
            for modality, store in self.stores.items()
        }
        return chance_of(*self._sides(known), self.protocol, self._setting())

    def _setting(self):
        return settings_of(self.protocol)[0]

    def _sides(self, found):
        """(query, gallery) of {modality: anything} in the setting's direction."""
        visible_asks = self._setting().direction == "visible_to_infrared"
        order = (VISIBLE, INFRARED) if visible_asks else (INFRARED, VISIBLE)
        return tuple(found[modality] for modality in order)


def without_features(samples):
    """Who is on images, by which camera, as `LabelledFeatures` of zeros."""
    cameras = [-1 if sample.camera is None else sample.camera for sample in samples]
    return LabelledFeatures(
        np.zeros((len(samples), 1), np.float32),
        np.array([sample.identity for sample in samples], np.int64),
        np.array(cameras, np.int64),
    )
