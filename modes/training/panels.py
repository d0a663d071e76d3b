"""The pictures of a pre-training run: in TensorBoard while it runs, as PNG at its end."""

import numpy as np

from mmgl_tf.modes.training.chance import chance_values
from mmgl_tf.pipelines.decode import MEAN, STD
from mmgl_tf.visualization.curves import training_curves
from mmgl_tf.visualization.grid import write_png
from mmgl_tf.visualization.panels import augmented_batch, recovered_stripes
from mmgl_tf.visualization.soft_matching import soft_matching_matrix


class Panels:
    """Draws; reads the probe's last look.

    Args:
        config: `mmgl_tf.flags.config.Config`.
        probe: `mmgl_tf.pretraining.probe.Probe`.
        first_batch: function () -> the run's first training batch.
    """

    def __init__(self, config, probe, first_batch):
        self.config = config
        self.probe = probe
        self.first_batch = first_batch

    def attach(self, recording):
        """Show the first batch in TensorBoard once, and the probe's look after each epoch."""
        if recording.position.step == 0:
            recording.image("input/augmented_batch", self._augmented())
        recording.after_epoch = lambda: [
            recording.image(name, picture) for name, picture in self._looks().items()
        ]

    def write(self, rows, directory):
        """Write all pictures as PNG."""
        pictures = {"augmented_batch": self._augmented()}
        pictures["curves"] = training_curves(rows, chance_values(self.config))
        if self.probe.matching is None:
            self.probe()
        pictures |= {name.split("/")[1]: picture for name, picture in self._looks().items()}
        for name, picture in pictures.items():
            write_png(picture, directory / f"{name}.png")

    def _augmented(self):
        batch = {name: value.numpy() for name, value in self.first_batch().items()}
        return augmented_batch(batch["visible"], batch["infrared"], batch["permutation"], mean=MEAN, std=STD)

    def _looks(self):
        pictures, batch = {}, self.probe.batch
        if self.config.mmgl.permutation:
            pictures["probe/recovered_stripes"] = self._recovered(batch)
        found = self.probe.matching
        pictures["probe/matching"] = soft_matching_matrix(
            found.part_matrix,
            found.slot_matrix,
            part_mass=found.part_mass,
            slot_mass=found.slot_mass,
            identity_lift=found.identity_lift,
        )
        return pictures

    def _recovered(self, batch, each=4):
        count = len(batch["visible"])
        chosen = [*range(min(each, count)), *range(count, min(count + each, len(batch["permutation"])))]
        images = np.concatenate([batch["visible"], batch["infrared"]])[chosen]
        return recovered_stripes(
            images,
            batch["permutation"][chosen],
            self.probe.recovered[chosen],
            ["visible" if index < count else "infrared" for index in chosen],
            mean=MEAN,
            std=STD,
            selection=f"the first {each} {self.probe.source} of each modality in the probe",
            max_examples=2 * each,
        )
