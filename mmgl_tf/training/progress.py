"""Callback that tells a person at the terminal how far the run is."""

import sys
import time

import keras

from mmgl_tf.figures import SUFFIXES

SILENT_SECONDS = 30.0  # steps of a large network on a CPU take minutes


def duration(seconds):
    """Seconds as h:mm:ss or m:ss."""
    seconds = round(seconds)
    hours, rest = divmod(seconds, 3600)
    minutes, seconds = divmod(rest, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"


class Progress(keras.callbacks.Callback):
    """A bar on a terminal, elsewhere a line every few steps or half a minute: rate, remaining time, losses.

    Args:
        position: `Position`.
        epochs: length of the run.
        images_per_step: images of both modalities.
        every_steps: steps between lines where output is not a terminal.
        figures: tuple of `mmgl_tf.figures.Figure`; those with a short label are shown.
        stream: where to write.
    """

    def __init__(self, position, epochs, images_per_step, every_steps, figures, stream=None):
        super().__init__()
        self.position = position
        self.epochs = epochs
        self.images_per_step = images_per_step
        self.every_steps = every_steps
        self.labels = {figure.name: figure.short for figure in figures if figure.short}
        self.figures = figures
        self.stream = stream or sys.stdout
        self.terminal = self.stream.isatty()
        self.seconds = 0.0
        self.began = None
        self.shown = time.perf_counter()
        self.timed_steps = 0

    def on_train_batch_begin(self, batch, logs=None):
        """Start the clock of a step."""
        self.began = time.perf_counter()

    def on_train_batch_end(self, batch, logs=None):
        """Show the bar or, now and then, a line."""
        done = self.position.step - self.position.start
        if done > 1:  # The first step includes tracing; it would spoil the estimate.
            self.seconds += time.perf_counter() - self.began
            self.timed_steps += 1
        within = (self.position.step - 1) % self.position.steps_per_epoch + 1
        now = time.perf_counter()
        waited = now - self.shown > SILENT_SECONDS
        due = waited or within % self.every_steps == 0 or self.position.at_epoch_end
        if not (self.terminal or due) or not self.timed_steps:
            return
        self.shown = now
        rate = self.timed_steps / self.seconds
        left = (self.position.total_steps - self.position.step) / rate
        filled = round(20 * within / self.position.steps_per_epoch)
        figures = "  ".join(
            f"{label} {float(logs[name]):.3f}" for name, label in self.labels.items() if name in logs
        )
        width = len(str(self.position.steps_per_epoch))
        line = (
            f"epoch {self.position.epoch}/{self.epochs} [{'=' * filled}{'.' * (20 - filled)}] "
            f"{within:{width}d}/{self.position.steps_per_epoch}  {rate * self.images_per_step:.3g} images/s  "
            f"left {duration(left)}  {figures}"
        )
        if self.terminal:
            self.stream.write("\r\x1b[2K" + line + ("\n" if self.position.at_epoch_end else ""))
        else:
            self.stream.write(line + "\n")
        self.stream.flush()

    def on_epoch_end(self, epoch, logs=None):
        """One line with the figures of held-out images; where modalities are apart, visible / infrared."""
        held_out = {
            name.removeprefix("val_").removeprefix("validation/"): float(value)
            for name, value in logs.items()
            if name.startswith(("val_", "validation/"))
        }
        texts = []
        for figure in self.figures:
            names = [n for n in (figure.name, *map(figure.name.__add__, SUFFIXES[1:])) if n in held_out]
            if names:
                values = " / ".join(figure.text(held_out[name], 0) for name in names)
                texts.append(f"{figure.title} {values}")
        if texts:
            self.stream.write(f"  held out: {',  '.join(texts)}\n")
            self.stream.flush()
