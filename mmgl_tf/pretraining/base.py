"""What every pre-training method shares besides the training step: how it is validated without labels."""

import keras

from mmgl_tf.training.model import TrainingModel


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
            name: keras.metrics.Mean(name="validation_" + name.replace("/", "_")) for name in validation_names
        }

    def validation_figures(self, batch):
        """Noise-free figures of held-out images.

        Returns:
            {name: (float32 [n] values, float32 [n] weights)}.
        """
        raise NotImplementedError

    def test_step(self, batch):
        """Weighted means of `validation_figures` over the held-out images."""
        for name, (values, weights) in self.validation_figures(batch).items():
            self.validation_means[name].update_state(values, sample_weight=weights)
        return {name: mean.result() for name, mean in self.validation_means.items()}
