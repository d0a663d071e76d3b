"""From a model and its data to a finished, resumable run: the order in which things must happen."""

import functools

from mmgl_tf.training.checkpoints import Checkpoints, digest, restore
from mmgl_tf.training.epoch_end import EpochEnd
from mmgl_tf.training.guards import CollapseGuard, NonFiniteGuard, StopRequest, StopWhenRequested
from mmgl_tf.training.position import Position
from mmgl_tf.training.progress import Progress
from mmgl_tf.training.projection_guard import ProjectionGuard
from mmgl_tf.training.recording import Recording
from mmgl_tf.training.saving import ResumedMeans, Saving
from mmgl_tf.training.step.shared_statistics import SharedStatistics


class Training:
    """One run of `model.fit`, from its first or any later step to its end.

    Args:
        model: compiled and built `mmgl_tf.training.step.model.TrainingModel`.
        run: `RunDirectory`, claimed.
        settings: `mmgl_tf.flags.config.Config`.
        plan: `mmgl_tf.training.plan.TrainingPlan`.
        data: fingerprint of the images, any text.
        distribution: `mmgl_tf.machines.distribution.Distribution` in whose scope the model was made.

    Raises:
        ValueError: the run was begun on other images and --force is not given; or the workers are not about
            to do the same.
        WorkerLost: another worker is gone.
    """

    def __init__(self, model, run, settings, plan, data, distribution):
        self.model = model
        self.run = run
        self.settings = settings
        self.steps_per_epoch = plan.steps_per_epoch
        self.images_per_step = plan.images_per_step
        self.total_steps = plan.total_steps
        self.stage_starts, self.stage_ends = plan.stage_starts, plan.stage_ends
        self.checkpoints = Checkpoints(run.checkpoints)
        self.data = data
        self.distribution = distribution
        self.note = {}
        self.epoch_means = None
        self.first_step = 0
        # The chief first: it sets damaged ones aside.
        found = distribution.chief_first(self.checkpoints.latest)
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
            if self.first_step % self.steps_per_epoch:
                self.epoch_means = {
                    name: value for name, value in arrays.items() if name.startswith("metric/")
                }
        distribution.agree(
            images=data, steps_of_an_epoch=self.steps_per_epoch, the_step_of_the_checkpoint=self.first_step
        )

    def fit(self, datasets, validation, wait, select, flat_settings, probe=None, watch=None):
        """Train to the end.

        Args:
            datasets: function (first step, number of steps) -> tf.data.Dataset of this process's batches, one
                for each of its replicas in turn, step by step. The steps are of one stage of the run.
            validation: function (first step) -> dataset for `test_step`, likewise, or None.
            wait: see `Recording`.
            select: see `Saving`.
            flat_settings: {name: value} for HParams.
            probe: see `Recording`.
            watch: function Recording -> None, called before the first step (for pictures), or None.

        Returns:
            (rows of metrics.jsonl, `Saving`) on the chief; (None, None) on other workers.

        Raises:
            Interrupted: a signal asked to stop; all is saved.
            Diverged: a loss or gradient was not finite, or the embeddings collapsed.
            ValueError: the workers do not start from the same weights.
        """
        distribution, epochs = self.distribution, self.settings.optimization.epochs
        if distribution.workers > 1:  # A strategy makes them the same where they are made, not where loaded.
            distribution.agree(the_weights_at_the_start=digest(self.model))
        position = Position(self.first_step, self.steps_per_epoch, self.total_steps)
        recording = saving = None
        with StopRequest(self.model, distribution.total) as stop:
            # At the end of a step: it is counted and found finite; then, where it is an epoch's last, the
            # method's state moves. All that validates, judges and saves the epoch comes after that.
            callbacks = [
                position,
                *([SharedStatistics(self.model, distribution.strategy)] if distribution.total > 1 else []),
                NonFiniteGuard(position, self.checkpoints),
                EpochEnd(position),
                CollapseGuard(position),
                ResumedMeans(self.epoch_means),
            ]
            if distribution.chief:
                recording, saving = self._records(
                    position, stop, wait, select, flat_settings, probe, validation is not None
                )
                every = self.settings.run.log_every_steps
                bar = Progress(position, epochs, self.images_per_step, every, self.model.shown)
                callbacks += [recording, bar]
                if watch:
                    watch(recording)
            callbacks.append(ProjectionGuard(recording, distribution))
            callbacks += [saving] if saving else []
            callbacks.append(StopWhenRequested(stop, position))
            for first, steps, (begin, end) in self._stretches():
                make = functools.partial(datasets, first, steps * (end - begin))
                if first in self.stage_starts[1:]:  # A stage has graphs of its own; let go of the last one's.
                    self.model.train_function = self.model.test_function = None
                self.model.fit(
                    distribution.dataset(make),
                    initial_epoch=begin,
                    epochs=end,
                    steps_per_epoch=steps,
                    callbacks=callbacks,
                    shuffle=False,
                    verbose=0,
                    **self._held_out(validation, first),
                )
        return (recording.rows, saving) if distribution.chief else (None, None)

    def _held_out(self, validation, first_step):
        """Arguments of `fit` for the validation of a stretch; {} where nothing is held out."""
        if validation is None:
            return {}
        make = functools.partial(validation, first_step)
        return {
            "validation_data": self.distribution.dataset(make),
            "validation_steps": int(make().cardinality()) // self.distribution.local,
        }

    def _records(self, position, stop, wait, select, flat_settings, probe, validates):
        """(`Recording`, `Saving`)."""
        watched = [f"validation/{name}" for name in self.model.validation_means if validates]
        recording = Recording(
            self.run,
            position,
            self.images_per_step,
            self.settings.run.log_every_steps,
            wait,
            flat_settings,
            probe,
            self.note.get("seconds", 0.0),
            watched=watched or [*getattr(probe, "watched", ())],
        )
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
        return recording, saving

    def _stretches(self):
        """Calls of `fit`: the rest of an epoch that was interrupted in its middle, then the whole epochs.

        Each is of one stage: another may have batches of another shape, and `fit` takes one data set.

        Returns:
            list of (first step, steps per epoch, (first epoch, epoch after the last)).
        """
        length = self.steps_per_epoch
        epoch, offset = divmod(self.first_step, length)
        stretches = []
        if offset:
            stretches.append((self.first_step, length - offset, (epoch, epoch + 1)))
            epoch += 1
        for end in self.stage_ends:
            if epoch < end:
                stretches.append((epoch * length, length, (epoch, end)))
                epoch = end
        return stretches
