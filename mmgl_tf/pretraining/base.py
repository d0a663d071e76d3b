"""What every pre-training method shares besides the training step: how it is validated without labels."""

from mmgl_tf.training.model import TrainingModel
from mmgl_tf.training.replicas import gather_rows
from mmgl_tf.training.running_mean import RunningMean


class PretrainingModel(TrainingModel):
    """An encoder with the heads and losses of one self-supervised method.

    A batch is a dict: `visible`, `infrared` float32 [B, H, W, 3] (normalised, stripes shuffled) and
    `permutation` int32 [2B, N] (visible images first).

    Args:
        encoder: `mmgl_tf.backbones.Encoder`.
        seed: as in `TrainingModel`.
        term_weights: as in `TrainingModel`.
        measure_names: as in `TrainingModel`.
        validation_names: names of the figures that `validation_figures` returns.
    """

    def __init__(self, encoder, seed, term_weights, measure_names, validation_names, name):
        super().__init__(encoder, seed, term_weights, measure_names, name)
        self.validation_means = {
            name: RunningMean("validation_" + name.replace("/", "_")) for name in validation_names
        }

    def validation_outputs(self, batch):
        """What `validation_figures` reads: {name: [2b, ...]}, visible rows first, noise-free.

        Args:
            batch: as in training, and `weight` float32 [2b], 0 on padding.
        """
        raise NotImplementedError

    def validation_figures(self, outputs):
        """Figures of held-out images.

        Args:
            outputs: as `validation_outputs` returns them, of the global batch.

        Returns:
            {name: (float32 [n] values, float32 [n] weights)}.
        """
        raise NotImplementedError

    def test_step(self, batch):
        """Weighted means of `validation_figures` over the held-out images."""
        outputs = gather_rows(self.validation_outputs(batch))
        for name, (values, weights) in self.validation_figures(outputs).items():
            self.validation_means[name].update_state(values, weights)
        return {name: mean.result() for name, mean in self.validation_means.items()}
