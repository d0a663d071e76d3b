"""Callback that stops a run whose projections became a point, as the monitor of pre-training judges it."""

import keras

from mmgl_tf.training.guards import Collapsed


class ProjectionGuard(keras.callbacks.Callback):
    """Judges the epochs that are recorded, before the weights of the last one are saved.

    It keeps nothing itself: what it reads stands in metrics.jsonl, so a resumed run is judged like one that
    was never stopped. It runs where the probe runs, on the chief.

    Args:
        recording: `Recording`, earlier in the list of callbacks.
        judge: function: {epoch: {name: figure}} of all epochs so far -> reason to stop, or "".
    """

    def __init__(self, recording, judge):
        super().__init__()
        self.recording = recording
        self.judge = judge

    def on_epoch_end(self, epoch, logs=None):
        """Look at the epochs so far."""
        rows = {row["epoch"]: row for row in self.recording.rows if row["epoch"] > 0}
        reason = self.judge(rows)
        if reason:
            raise Collapsed(
                f"{reason} (epoch {epoch + 1}). Try another --recipe or a smaller --learning_rate."
            )
