"""A fixed look at images after each epoch: is the embedding alive, and what does the method make of them?"""

import numpy as np
import tensorflow as tf

from mmgl_tf.figures import HAS_NONE, Figure
from mmgl_tf.pipelines.records import MODALITIES
from mmgl_tf.pretraining.monitor.collapse import RANK, SPREAD, VARIANCE, by_group, projection_figures
from mmgl_tf.pretraining.monitor.embedding_spread import effective_rank, feat_std, mean_cosine
from mmgl_tf.retrieval.geometry import modality_gap
from mmgl_tf.retrieval.unit_length import unit_length

# Reported by curves, TensorBoard and metrics.jsonl alone: they describe how embeddings lie, and nothing is
# judged by them.
_CURVES = {"source": "probe", "summary": False}
# What a probe measures of the pooled feature map, whatever the method; and where both modalities are shown.
FIGURES = (
    Figure("embedding/std", "embedding: standard deviation", HAS_NONE, **_CURVES),
    Figure("embedding/effective_rank", "embedding: effective rank", HAS_NONE, **_CURVES),
    Figure("embedding/mean_cosine", "embedding: mean cosine", HAS_NONE, "free", **_CURVES),
)
OF_BOTH = (Figure("embedding/modality_gap", "embedding: modality gap", HAS_NONE, **_CURVES),)
# And of what its losses see, where it has a projector; where that ends in a norm without scale, also of what
# goes into it. See `mmgl_tf.pretraining.monitor.collapse`.
OF_PROJECTIONS = (
    Figure(SPREAD, "projection: spread, 1 = even", HAS_NONE, source="probe"),
    Figure(RANK, "projection: effective rank", HAS_NONE, source="probe"),
    Figure("projection/mean_cosine", "projection: mean cosine", HAS_NONE, "free", **_CURVES),
    Figure("projection/modality_gap", "projection: modality gap", HAS_NONE, **_CURVES),
)
OF_NORMALISED = (
    Figure(VARIANCE, "projection: variance that the last norm lets stand", HAS_NONE, "share", source="probe"),
)


class Probe:
    """Shows a model the same unaugmented images each time, batch norm in inference mode.

    Args:
        model: `mmgl_tf.pretraining.base.PretrainingModel`.
        batches: for each stage of the run a dict of arrays with `visible` [n, ...] and `infrared` [m, ...],
            of the same images, as the method's held-out batches are.
        identities: (int [n], int [m]) identity numbers, or None where nobody is labelled.
        source: what the images are, for captions, e.g. "held-out images".

    Attributes:
        batch: what the last look was at.
        found: what it saw, {name: array}; None before it.
    """

    def __init__(self, model, batches, identities=None, source="held-out images"):
        self.model = model
        self.batches = [{name: np.asarray(value) for name, value in batch.items()} for batch in batches]
        self.batch = self.batches[0]
        self.identities = identities or (None, None)
        self.source = source
        self.found = None
        self._probed = tf.function(model.probed, autograph=False)

    def __call__(self):
        """Look.

        Returns:
            {slash-grouped name: figure}.
        """
        # Of the stage that the last step was of; it may have ended with it.
        step = max(int(np.asarray(self.model.optimizer.iterations)) - 1, 0)
        self.batch = self.batches[self.model.plan.stage_of(step) if len(self.batches) > 1 else 0]
        tensors = {name: tf.constant(value) for name, value in self.batch.items()}
        self.found = {name: value.numpy() for name, value in self._probed(tensors).items()}
        figures = self._embeddings() | self._projections()
        figures |= self.model.probe_figures(self.found, self.batch, self.identities)
        return {name: float(value) for name, value in figures.items()}

    def pictures(self, scale):
        """Pictures of the last look, or of a new one where there was none.

        Args:
            scale: (mean, standard deviation) that the images were normalised with.

        Returns:
            {name: uint8 [H, W, 3]}.
        """
        if self.found is None:
            self()
        return self.model.probe_pictures(self.found, self.batch, self.identities, self.source, scale)

    def _embeddings(self):
        """Of the pooled features."""
        groups, found = self._groups("features"), {}
        for suffix, rows in by_group(groups).items():
            found["embedding/std" + suffix] = feat_std(rows)
            found["embedding/effective_rank" + suffix] = effective_rank(rows)
            found["embedding/mean_cosine" + suffix] = mean_cosine(rows)
        return found | _gap("embedding", groups)

    def _projections(self):
        """Of the projector's output; {} for a method without one."""
        if "judged" not in self.found:
            return {}
        groups, before = self._groups("judged"), None
        if "before_norm" in self.found:
            before = self._groups("before_norm")
        return projection_figures(groups, before) | _gap("projection", groups)

    def _groups(self, name):
        """{modality: its rows} of something found."""
        shown, rows = [m for m in MODALITIES if m in self.batch], self.found[name]
        images = [len(self.batch[m]) for m in shown]
        cut = len(rows) * images[0] // sum(images)  # a method may have several rows an image
        return dict(zip(shown, (rows[:cut], rows[cut:]), strict=False))


def _gap(what, groups):
    if len(groups) < 2:
        return {}
    return {f"{what}/modality_gap": modality_gap(*(unit_length(rows) for rows in groups.values()))}
