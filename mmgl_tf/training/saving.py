"""Callback that saves: resumable checkpoints, the last and the best weights."""

import errno
import math
import os
import shutil

import keras

from mmgl_tf.training.checkpoints import collect


class ResumedMeans(keras.callbacks.Callback):
    """Puts back the running means of an epoch that goes on in its middle; `fit` resets them at its start.

    Args:
        arrays: of the checkpoint, or None where an epoch begins afresh.
    """

    def __init__(self, arrays):
        super().__init__()
        self.arrays = arrays

    def on_epoch_begin(self, epoch, logs=None):
        """Put them back, once."""
        if self.arrays:
            for metric in self.model.metrics:
                for variable in metric.variables:
                    variable.assign(self.arrays[f"metric/{variable.path}"])
        self.arrays = None


class Saving(keras.callbacks.Callback):
    """Saves at the end of each epoch, at every n-th step, and when asked to stop.

    Args:
        run: `RunDirectory`.
        checkpoints: `Checkpoints`.
        position: `Position`.
        stop: `StopRequest`.
        every_steps: save within epochs this often; 0 = never.
        select: function logs -> score of the weights (larger is better), or None where nothing is held out.
            The logs have what `Recording`'s probe found, too.
        note: what each checkpoint's note holds besides the best score: that of the one resumed from.
        seconds: function () -> training time of the run so far.
    """

    def __init__(self, run, checkpoints, position, stop, every_steps, select, note, seconds):
        super().__init__()
        self.run = run
        self.checkpoints = checkpoints
        self.position = position
        self.stop = stop
        self.every_steps = every_steps
        self.select = select
        self.note = note
        self.seconds = seconds

    @property
    def best_epoch(self):
        """Finished epochs of the best weights, or None before there is one."""
        return self.note.get("best_epoch")

    def on_train_batch_end(self, batch, logs=None):
        """Save inside an epoch; the end of an epoch waits for its validation."""
        if self.position.at_epoch_end:
            return
        due = self.every_steps and self.position.step % self.every_steps == 0
        if due or self.stop.decided:
            self._save()

    def on_epoch_end(self, epoch, logs=None):
        """Save weights and checkpoint; ties in the score go to the later epoch, which has trained longer."""
        self._save_weights("last")
        score = self.select(logs) if self.select else None
        if score is not None and (self.best_epoch is None or score >= self.note["best_score"]):
            self.note |= {"best_score": score, "best_epoch": epoch + 1}
            self._save_weights("best")
        self._save()

    def _save_weights(self, which):
        for name, layer in self.model.saved_layers().items():
            save_weights(layer, self.run.weights(name, which))

    def _save(self):
        note = self.note | {"seconds": self.seconds()}
        self.checkpoints.save(self.position.step, collect(self.model), note)


def save_weights(layer, path):
    """Write a layer's weights (what fine-tuning, evaluation and export start from) atomically.

    Args:
        layer: built layer with `save_weights`, such as `mmgl_tf.backbones.Encoder`.
        path: ends in `.weights.h5`.
    """
    temporary = path.with_name(f".writing.{path.name}")
    try:
        _require_room(layer, path)
        layer.save_weights(temporary)
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise OSError(
            f"could not save the weights {path}: {error}; make room and give the same command again"
        ) from error


def _require_room(layer, path):
    """Refuse to begin a file that the disk has no room for: HDF5 crashes the process where it runs out."""
    needed = 2**20 + sum(4 * math.prod(variable.shape) for variable in layer.variables)
    free = shutil.disk_usage(path.parent).free
    if free < needed:
        raise OSError(errno.ENOSPC, f"{needed:,} bytes are needed and {free:,} are free")
