"""Callback that stops a run whose projections collapsed, as the monitor of pre-training judges it."""

import keras

from mmgl_tf.training.guards import Collapsed


class ProjectionGuard(keras.callbacks.Callback):
    """Judges the epochs that are recorded, before the weights of the last one are saved.

    What the model's `judged` says stops the run, what its `alarm` says is printed.

    It keeps nothing itself: what it reads stands in metrics.jsonl, so a resumed run is judged like one that
    was never stopped. The chief judges, as the probe looks there; all workers stop.

    Args:
        recording: `Recording`, earlier in the list of callbacks; None on other workers than the chief.
        distribution: `mmgl_tf.machines.distribution.Distribution` of the run.
    """

    def __init__(self, recording, distribution):
        super().__init__()
        self.recording = recording
        self.distribution = distribution

    def on_epoch_end(self, epoch, logs=None):
        """Look at the epochs so far."""
        reason = ""
        if self.recording:
            epochs = {row["epoch"]: row for row in self.recording.rows if row["epoch"] > 0}
            reason, alarm = self.model.judged(epochs), self.model.alarm(epochs)
            if alarm:
                print(f"  alarm: {alarm}", flush=True)
        reason = self.distribution.from_chief(reason)
        if reason:
            raise Collapsed(
                f"{reason} (epoch {epoch + 1}). Try a smaller --learning_rate, or --recipe=native where the "
                "method has it."
            )
