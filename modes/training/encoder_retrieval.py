"""How well people held out are found by an encoder in pre-training, for --select_by=mAP and rank1."""

from mmgl_tf.backbones.pooled_encoder import PooledEncoder
from mmgl_tf.figures import OF_A_SEARCH
from mmgl_tf.modes.training.validation_retrieval import ValidationRetrieval


class EncoderRetrieval:
    """Searches the validation identities by the pooled feature map of the encoder that would be saved.

    Of a method that shows one modality only, that is not the encoder which goes on training; see
    `mmgl_tf.pretraining.unseen_stem`.

    Args:
        model: `mmgl_tf.pretraining.base.PretrainingModel`, built.
        splits, stores, batch_size: as in `ValidationRetrieval`.
    """

    def __init__(self, model, splits, stores, batch_size):
        self._model = model
        self._rest = (splits, stores, batch_size)
        self._search = self._encoder = None

    def __call__(self):
        """Figures of the present weights.

        Returns:
            {"validation/rank1", "validation/mAP", "validation/mINP": fractions}.
        """
        encoder = self._model.saved_layers()["encoder"]
        if encoder is not self._encoder:  # One object throughout, so that its graph is traced once.
            self._encoder = encoder
            embedder = PooledEncoder(encoder)
            embedder.built = True
            splits, stores, batch_size = self._rest
            self._search = ValidationRetrieval(
                embedder, splits, stores, batch_size, every_epochs=1, total_epochs=0, epoch=0
            )
        found = self._search()
        names = [f"{figure.prefix}{figure.name}" for figure in OF_A_SEARCH]
        return {name: found[name] for name in names if name in found}


class ProbeAndSearch:
    """A probe, and a search beside it, as one look after each epoch.

    Args:
        probe: `mmgl_tf.pretraining.monitor.probe.Probe`.
        search: function () -> {name: figure}.
    """

    def __init__(self, probe, search):
        self._probe, self._search = probe, search

    def __call__(self):
        """Figures of both."""
        return self._probe() | self._search()

    def pictures(self, scale):
        """Of the probe."""
        return self._probe.pictures(scale)
