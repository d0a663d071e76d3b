"""How well validation identities are found after an epoch of fine-tuning; this picks the best weights."""

import numpy as np

from mmgl_tf.modes.features import Extractor
from mmgl_tf.pipelines.records import INFRARED, VISIBLE
from mmgl_tf.retrieval.geometry import geometry
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
        search, shots, direction = settings_of(self.protocol)[0]
        order = (VISIBLE, INFRARED) if direction == "visible_to_infrared" else (INFRARED, VISIBLE)
        result = evaluate(
            found[order[0]], found[order[1]], self.protocol, search=search, shots=shots, direction=direction
        )
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
