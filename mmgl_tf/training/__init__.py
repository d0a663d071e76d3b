"""Running a training: optimiser, schedule, run directory, checkpoints, callbacks and `fit`."""
