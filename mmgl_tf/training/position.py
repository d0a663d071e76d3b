"""Where a run is: the one place that counts steps and epochs."""

import keras


class Position(keras.callbacks.Callback):
    """Counts finished steps; first in the list of callbacks, so that the others can rely on it.

    Args:
        step: steps finished before this process began.
        steps_per_epoch: length of an epoch.
        total_steps: length of the run.
    """

    def __init__(self, step, steps_per_epoch, total_steps):
        super().__init__()
        self.step = step
        self.start = step
        self.steps_per_epoch = steps_per_epoch
        self.total_steps = total_steps

    @property
    def epoch(self):
        """Epoch, from 1, that the last finished step belongs to (0 before the first)."""
        return -(-self.step // self.steps_per_epoch)

    @property
    def at_epoch_end(self):
        """Whether the last finished step is the last of its epoch."""
        return self.step % self.steps_per_epoch == 0

    def on_train_batch_end(self, batch, logs=None):
        """Count."""
        self.step += 1
