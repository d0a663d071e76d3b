"""What becomes of the encoder where a method trains on the images of one modality only.

The stem of the other modality then gets no gradient. The field's answer, that of every "ImageNet"
initialisation, is to copy the stem that was trained; batch norm's statistics, which no image of the other
modality ever touched, are estimated anew from images of both.
"""

import numpy as np

from mmgl_tf.backbones.precise_statistics import PreciseStatistics
from mmgl_tf.pipelines.records import MODALITIES
from mmgl_tf.pretraining.base import PretrainingModel


class UnseenStemModel(PretrainingModel):
    """An encoder of which a modality may stay unseen; `options` has `UnseenStem` of `flags.methods.shared`.

    With --unseen_stem=copy, the stem that was not trained takes weights and statistics of the one that was at
    the end of each epoch, before anything is validated, looked at or saved. The encoder that is saved by
    itself, for other modes to start from, is a copy with statistics of training images of both modalities, as
    fine-tuning will show them: in their colours, unaugmented. The model that goes on training keeps its own,
    so that held-out figures are of the images that the method is about, and that a run that is resumed goes
    on as if nothing had happened. With keep, the stem stays as it started, and so do the statistics.

    Attributes:
        trained_stems: modalities whose stems the method trains.
    """

    def __init__(self, encoder, options, seed, plan, term_weights, name):
        super().__init__(encoder, options, seed, plan, term_weights, name)
        self._saved = _SavedEncoder(encoder)

    @property
    def trained_stems(self):
        """See the class; those of the images shown, unless a method says otherwise."""
        return self.modalities

    @property
    def trained_variables(self):
        """All but those of a stem of its own that no image goes through."""
        unseen = {id(variable) for stem in self._unseen_stems() for variable in stem.trainable_variables}
        return [variable for variable in self.trainable_variables if id(variable) not in unseen]

    def after_epoch(self):
        """The unseen stem becomes the trained one."""
        if self.options.unseen_stem == "copy":
            trained = self.encoder.stems[self.trained_stems[0]]
            for stem in self._unseen_stems():
                for own, value in zip(stem.weights, trained.weights, strict=True):
                    own.assign(value)

    def saved_layers(self):
        """The encoder with statistics of both modalities; that of the model where nothing is unseen.

        A model outside of a run, without training images, has none to estimate from.
        """
        if not self._estimates() or self.plain_batches is None:
            return super().saved_layers()
        step = int(np.asarray(self.optimizer.iterations))  # on replicas it is no number by itself
        return {"encoder": self._saved.at(step, lambda: self.plain_batches(self.options.unseen_stem_batches))}

    def notes(self):
        """See `PretrainingModel`."""
        if len(self.modalities) == len(MODALITIES):
            return []
        other = next(m for m in MODALITIES if m not in self.modalities)
        keeps = self.options.unseen_stem == "keep"
        unseen = f"no {other} image is trained on"
        if self._unseen_stems():
            unseen += "; that stem " + (
                "keeps its random start" if keeps else "takes the trained one's weights after each epoch"
            )
        if keeps:
            statistics = "batch norm's statistics stay those of training"
        else:
            statistics = (
                f"saved encoders have batch norm's statistics of up to {self.options.unseen_stem_batches} "
                "batches of plain training images, of every modality there is"
            )
        return [("unseen", unseen), ("", statistics)]

    def _unseen_stems(self):
        """Stems that get no gradient; none for one stream, where both modalities have the same."""
        if self.encoder.stream == "one":
            return []
        return [stem for modality, stem in self.encoder.stems.items() if modality not in self.trained_stems]

    def _estimates(self):
        return self.options.unseen_stem == "copy" and len(self.modalities) < len(MODALITIES)


class _SavedEncoder:
    """The copy that is saved. No layer of the model, so kept where Keras does not look for layers."""

    def __init__(self, encoder):
        self._encoder = encoder
        self._precise = self._step = self._found = None

    def at(self, step, batches):
        """`PreciseStatistics` of the encoder at a step; "last" and "best" of an epoch are one estimate."""
        if self._step != step:
            self._precise = self._precise or PreciseStatistics(self._encoder)
            self._found, self._step = self._precise(batches()), step
        return self._found
