"""Callback that writes down what a run did: metrics.jsonl, TensorBoard scalars, HParams."""

import math
import time

import keras
import tensorflow as tf
from tensorboard.plugins.hparams import api as hparams


class Recording(keras.callbacks.Callback):
    """One row per finished epoch in metrics.jsonl; the same figures, and windows of steps, in TensorBoard.

    Row 0 holds the losses of the very first step and the probe's look at the untrained network, the start
    that later rows are compared with.
    Names are slash-grouped and stable: loss/*, accuracy/*, validation/*, embedding/*, matching/*,
    sinkhorn/*, probe/*, throughput/*, learning_rate.

    Args:
        run: `RunDirectory`.
        position: `Position`.
        images_per_step: images of both modalities.
        every_steps: length of a TensorBoard window.
        wait: object with `requested()` and `seconds`, the time spent waiting for batches.
        settings: flat configuration, for HParams.
        probe: callable () -> {name: figure}, or None; called before the first and after each epoch.
        seconds: training time of the run before this process began.
        watched: names of the scalars that the HParams table shows.

    Attributes:
        after_epoch: function () -> None that draws pictures after the probe's look, or None.
    """

    def __init__(self, run, position, images_per_step, every_steps, wait, settings, probe, seconds, watched):
        super().__init__()
        self.run = run
        self.position = position
        self.images_per_step = images_per_step
        self.every_steps = every_steps
        self.wait = wait
        self.probe = probe
        self.after_epoch = None
        self.seconds_before = seconds
        self.rows = [row for row in run.read_metrics() if row["step"] <= position.step]
        self.writer = tf.summary.create_file_writer(str(run.tensorboard))
        with self.writer.as_default():
            chosen = {name: value for name, value in settings.items() if name != "workdir"}
            hparams.hparams_config(
                hparams=[hparams.HParam(name) for name in chosen],
                metrics=[hparams.Metric(name) for name in watched],
            )
            hparams.hparams(chosen)
        self.started = time.perf_counter()

    def on_train_begin(self, logs=None):
        """Look at the untrained network, so that later figures have a start to be compared with."""
        self.untrained = _finite(self.probe()) if self.probe and self.position.step == 0 else {}

    @property
    def seconds(self):
        """Training time of the run so far, validation included, over all its processes."""
        return self.seconds_before + time.perf_counter() - self.started

    def on_epoch_begin(self, epoch, logs=None):
        """Start the clocks of an epoch."""
        self.window = self._totals()
        self._start_clock()

    def _start_clock(self):
        self.began = time.perf_counter()
        self.steps = 0
        self.waited = self.wait.seconds

    def on_train_batch_begin(self, batch, logs=None):
        """Note when a batch was asked for."""
        self.wait.requested()

    def on_train_batch_end(self, batch, logs=None):
        """Write the first row and the TensorBoard windows."""
        self.steps += 1
        if self.position.step == 1:
            figures = {name: float(value) for name, value in logs.items()}
            self._write_row({"epoch": 0, "step": 1, **figures, **self.untrained, "time/seconds": 0.0})
        if self.position.step == self.position.start + 1 and not self.position.at_epoch_end:
            # The first step of a process traces the graph, which is neither throughput nor waiting for data.
            self._start_clock()
        if self.position.step % self.every_steps == 0 or self.position.at_epoch_end:
            now = self._totals()
            for name, (total, count) in now.items():
                earlier_total, earlier_count = self.window[name]
                if count > earlier_count:
                    self._scalar(name, (total - earlier_total) / (count - earlier_count))
            self._scalar("learning_rate", self._learning_rate())
            self.window = now
        if self.position.at_epoch_end:
            # Validation comes next and must not count as training time.
            self.train_seconds = time.perf_counter() - self.began

    def on_epoch_end(self, epoch, logs=None):
        """Write the row of the epoch."""
        figures = {name.replace("val_", "validation/", 1): float(value) for name, value in logs.items()}
        for name, value in figures.items():
            if name.startswith("validation/"):
                self._scalar(name, value)
        extra = {
            "learning_rate": self._learning_rate(),
            "throughput/images_per_second": self.steps * self.images_per_step / self.train_seconds,
            "throughput/data_wait_share": min(1.0, (self.wait.seconds - self.waited) / self.train_seconds),
        }
        if self.probe:
            found = _finite(self.probe())
            extra |= found
            logs |= found  # for the callbacks after this one, which choose the best weights by it
        for name, value in extra.items():
            self._scalar(name, value)
        if self.after_epoch:
            self.after_epoch()
        self.writer.flush()
        self._write_row(
            {"epoch": epoch + 1, "step": self.position.step, **figures, **extra, "time/seconds": self.seconds}
        )

    def image(self, name, picture):
        """Show a picture, uint8 [H, W, 3], in TensorBoard at the present step."""
        with self.writer.as_default(step=self.position.step):
            tf.summary.image(name, picture[None])

    def _write_row(self, row):
        self.rows.append(row)
        self.run.write_metrics(self.rows)

    def _scalar(self, name, value):
        with self.writer.as_default(step=self.position.step):
            tf.summary.scalar(name, float(value))

    def _totals(self):
        return {name: mean.sums() for name, mean in self.model.train_means.items()}

    def _learning_rate(self):
        return float(self.model.optimizer.learning_rate)


def _finite(figures):
    """Figures without those that are not finite, which JSON cannot say: an undefined figure is left out."""
    return {name: value for name, value in figures.items() if math.isfinite(value)}
