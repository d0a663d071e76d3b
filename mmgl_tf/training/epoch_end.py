"""Callback that lets a method move its state at the end of an epoch."""

import keras


class EpochEnd(keras.callbacks.Callback):
    """Calls `TrainingModel.after_epoch` after the last step of each epoch, on every worker alike.

    It acts at the end of that step, not in `on_epoch_end`, because Keras validates in between: validation,
    probe and the saved weights then all have the state of the finished epoch. A checkpoint from within an
    epoch does not have it yet; the run that goes on from there comes to it.

    Args:
        position: `Position` of the run, earlier in the list of callbacks.
    """

    def __init__(self, position):
        super().__init__()
        self.position = position

    def on_train_batch_end(self, batch, logs=None):
        """After the last step of an epoch."""
        if self.position.at_epoch_end:
            self.model.after_epoch()
