"""From a model and its data to a finished, resumable run: the order in which things must happen."""

from mmgl_tf.training.checkpoints import Checkpoints, restore
from mmgl_tf.training.guards import CollapseGuard, NonFiniteGuard, StopRequest
from mmgl_tf.training.position import Position
from mmgl_tf.training.progress import Progress
from mmgl_tf.training.recording import Recording
from mmgl_tf.training.saving import ResumedMeans, Saving


class Training:
    """One run of `model.fit`, from its first or any later step to its end.

    Args:
        model: compiled and built `mmgl_tf.training.model.TrainingModel`.
        run: `RunDirectory`, claimed.
        settings: `flags.config.Config`.
        steps_per_epoch: length of an epoch.
        images_per_step: images of both modalities.
        data: fingerprint of the images, any text.

    Raises:
        ValueError: the run was begun on other images and --force is not given.
    """

    def __init__(self, model, run, settings, steps_per_epoch, images_per_step, data):
        self.model = model
        self.run = run
        self.settings = settings
        self.steps_per_epoch = steps_per_epoch
        self.images_per_step = images_per_step
        self.total_steps = steps_per_epoch * settings.optimization.epochs
        self.checkpoints = Checkpoints(run.checkpoints)
        self.data = data
        self.note = {}
        self.epoch_means = None
        self.first_step = 0
        found = self.checkpoints.latest()
        if found:
            arrays, self.note = found
            if self.note["data"] != data and not settings.run.force:
                raise ValueError(
                    f"{run.root} was begun on other images (fingerprint {self.note['data']}, now {data}): "
                    "files were added, removed or changed. Restore them, choose another --workdir, "
                    "or give --force."
                )
            restore(model, arrays)
            self.first_step = self.note["step"]
            if self.first_step > self.total_steps:
                raise ValueError(
                    f"{run.root} is at step {self.first_step} already, beyond the {self.total_steps} "
                    "steps asked for; raise --epochs or choose another --workdir"
                )
            if self.first_step % steps_per_epoch:
                self.epoch_means = {
                    name: value for name, value in arrays.items() if name.startswith("metric/")
                }

    def fit(self, datasets, validation, wait, select, flat_settings, probe=None, watch=None):
        """Train to the end.

        Args:
            datasets: function (first step, number of steps) -> tf.data.Dataset of training batches.
            validation: dataset for `test_step`, or None.
            wait: see `Recording`.
            select: see `Saving`.
            flat_settings: {name: value} for HParams.
            probe: see `Recording`.
            watch: function Recording -> None, called before the first step (for pictures), or None.

        Returns:
            (rows of metrics.jsonl, `Saving`).

        Raises:
            Interrupted: a signal asked to stop; all is saved.
            Diverged: a loss or gradient was not finite, or all embeddings became one.
        """
        optimization = self.settings.optimization
        every = self.settings.validation.log_every_steps
        position = Position(self.first_step, self.steps_per_epoch, self.total_steps)
        watched = [f"validation/{name}" for name in self.model.validation_means if validation]
        watched = watched or [*getattr(probe, "watched", ())]
        recording = Recording(
            self.run,
            position,
            self.images_per_step,
            every,
            wait,
            flat_settings,
            probe,
            self.note.get("seconds", 0.0),
            watched=watched,
        )
        with StopRequest() as stop:
            saving = Saving(
                self.run,
                self.checkpoints,
                position,
                stop,
                self.settings.run.checkpoint_every_steps,
                select,
                self.note | {"data": self.data},
                lambda: recording.seconds,
            )
            callbacks = [
                position,
                NonFiniteGuard(position, self.checkpoints),
                CollapseGuard(position),
                ResumedMeans(self.epoch_means),
                recording,
                Progress(position, optimization.epochs, self.images_per_step, every),
                saving,
            ]
            if watch:
                watch(recording)
            for first, steps, epochs in self._stretches():
                self.model.fit(
                    datasets(first, steps * (epochs[1] - epochs[0])),
                    initial_epoch=epochs[0],
                    epochs=epochs[1],
                    steps_per_epoch=steps,
                    validation_data=validation,
                    callbacks=callbacks,
                    shuffle=False,
                    verbose=0,
                )
        return recording.rows, saving

    def _stretches(self):
        """Calls of `fit`: the rest of an epoch that was interrupted in its middle, then the whole epochs.

        Returns:
            list of (first step, steps per epoch, (first epoch, epoch after the last)).
        """
        length, total = self.steps_per_epoch, self.settings.optimization.epochs
        epoch, offset = divmod(self.first_step, length)
        stretches = []
        if offset:
            stretches.append((self.first_step, length - offset, (epoch, epoch + 1)))
            epoch += 1
        if epoch < total:
            stretches.append((epoch * length, length, (epoch, total)))
        return stretches
