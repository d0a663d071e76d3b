"""The pictures of a training: in TensorBoard while it runs, as PNG at its end."""

from mmgl_tf.pipelines.decode import MEAN, STD
from mmgl_tf.visualization.grid import write_png

SCALE = (MEAN, STD)


class NoPictures:
    """Of a training whose pictures are made by other modes; its curves are the trainer's."""

    def attach(self, recording):
        """Nothing."""

    def write(self, directory):
        """Nothing."""


class PretrainingPictures:
    """The first batch, and what the probe's looks show.

    Args:
        model: `mmgl_tf.pretraining.base.PretrainingModel`.
        probe: `mmgl_tf.pretraining.monitor.probe.Probe`.
        first_batch: function () -> the run's first training batch.
    """

    def __init__(self, model, probe, first_batch):
        self.model = model
        self.probe = probe
        self.first_batch = first_batch

    def attach(self, recording):
        """Show the first batch in TensorBoard once, and the probe's look after each epoch."""
        if recording.position.step == 0:
            for name, picture in self._batch().items():
                recording.image(f"input/{name}", picture)
        recording.after_epoch = lambda: [
            recording.image(f"probe/{name}", picture) for name, picture in self.probe.pictures(SCALE).items()
        ]

    def write(self, directory):
        """Write all pictures as PNG."""
        for name, picture in (self._batch() | self.probe.pictures(SCALE)).items():
            write_png(picture, directory / f"{name}.png")

    def _batch(self):
        batch = {name: value.numpy() for name, value in self.first_batch().items()}
        return self.model.batch_pictures(batch, SCALE)
