"""Callbacks that end a run early for a reason: a non-finite loss, or a request to stop."""

import math
import signal

import keras


class Diverged(ValueError):
    """A run cannot go on: the paper's "fail". Its message says by which of the definitions below.

    Attributes:
        status: what summary.json calls it.
    """

    status = "fail"


class NonFiniteLoss(Diverged):
    """A loss term or the gradient stopped being a number."""


class NonFiniteNetwork(Diverged):
    """Weights, batch norm's moving statistics or embeddings stopped being numbers, although no loss had."""


class Collapsed(Diverged):
    """All embeddings point the same way, so nobody can be told from anybody."""

    status = "collapsed"


class Interrupted(Exception):
    """SIGINT or SIGTERM arrived; the step was finished and saved.

    Args:
        signum: the signal.
        step: finished steps in the checkpoint.
    """

    def __init__(self, signum, step):
        super().__init__(f"stopped by {signal.Signals(signum).name} after step {step}")
        self.signum = signum
        self.step = step


class NonFiniteGuard(keras.callbacks.Callback):
    """Stops at the first step whose loss or gradient is not finite, before anything of it is saved.

    Weights are looked at when an epoch ends: its last update may have ruined them, and training's losses
    never see the moving statistics of batch norm.

    Args:
        position: `Position` of the run, for the step number.
        checkpoints: `Checkpoints`, to say where the last good state is.
    """

    def __init__(self, position, checkpoints):
        super().__init__()
        self.position = position
        self.checkpoints = checkpoints

    def on_train_batch_end(self, batch, logs=None):
        """Check the step that just ended."""
        # Whatever is wrong reaches these two; the others are fetched from the device only to be named.
        if math.isfinite(float(logs["loss/total"])) and math.isfinite(float(logs["gradient/norm"])):
            return
        values = {name: float(value) for name, value in logs.items()}
        bad = [name for name, value in values.items() if not math.isfinite(value) and name != "loss/total"]
        good = self.checkpoints.paths()
        kept = f"The last good checkpoint is {good[-1]}." if good else "No checkpoint had been saved yet."
        raise NonFiniteLoss(
            f"{' and '.join(bad) or 'loss/total'} stopped being finite at step {self.position.step} "
            f"(epoch {self.position.epoch}). {kept} Try a smaller --learning_rate or --clip_norm=10."
        )

    def on_epoch_end(self, epoch, logs=None):
        """Check the weights of the epoch that just ended."""
        weights = self.model.weights
        bad = [weight.path for weight in weights if not bool(keras.ops.all(keras.ops.isfinite(weight)))]
        if bad:
            raise NonFiniteNetwork(
                f"{len(bad)} of {len(weights)} weights, such as {bad[0]}, were not finite when epoch "
                f"{epoch + 1} ended (step {self.position.step}). Try a smaller --learning_rate or "
                "--clip_norm=10."
            )


class CollapseGuard(keras.callbacks.Callback):
    """Stops at the end of an epoch by whose end the embeddings had collapsed, before its weights are saved.

    Args:
        position: `Position` of the run.
        threshold: smallest `embedding/spread` (1 - mean cosine similarity of a batch's features), averaged
            over the epoch's last steps, that counts as alive. Features in float32 are equal to about 1e-7.
        window_steps: the last steps are at least one, and at most so many.
    """

    NAME = "embedding/spread"

    def __init__(self, position, threshold=1e-5, window_steps=20):
        super().__init__()
        self.position = position
        self.threshold = threshold
        self.window_steps = window_steps
        self.before = (0.0, 0.0)

    def on_epoch_begin(self, epoch, logs=None):
        """Forget the epoch before."""
        self.before = (0.0, 0.0)

    def on_train_batch_begin(self, batch, logs=None):
        """Begin a window now and then; reading the sums costs a copy from the device."""
        if self._watches() and batch % self.window_steps == 0:
            self.before = self._sums()

    def on_epoch_end(self, epoch, logs=None):
        """Check the last window."""
        if not self._watches():
            return
        total, count = (now - then for now, then in zip(self._sums(), self.before, strict=True))
        if count > 0 and total / count < self.threshold:
            raise Collapsed(
                f"the embeddings had collapsed at the end of epoch {epoch + 1} (step {self.position.step}): "
                f"one minus their mean cosine was {total / count:.2g}, below {self.threshold:.0e}. "
                "Try a smaller --learning_rate or another --init."
            )

    def _watches(self):
        return self.NAME in self.model.train_means

    def _sums(self):
        return self.model.train_means[self.NAME].sums()


class StopWhenRequested(keras.callbacks.Callback):
    """Votes for a stop where one was requested, and stops once it is decided.

    It is the last of the callbacks, so that everything is saved by then.

    Args:
        stop: `StopRequest`.
        position: `Position` of the run.
    """

    def __init__(self, stop, position):
        super().__init__()
        self.stop = stop
        self.position = position

    def on_train_batch_begin(self, batch, logs=None):
        """Vote, before the step that carries the vote."""
        self.stop.vote()

    def on_train_batch_end(self, batch, logs=None):
        """Stop inside an epoch; the end of an epoch waits for its validation."""
        if not self.position.at_epoch_end:
            self.stop.raise_if_decided(self.position.step)

    def on_epoch_end(self, epoch, logs=None):
        """Stop, all being saved."""
        self.stop.raise_if_decided(self.position.step)


class StopRequest:
    """Remembers SIGINT or SIGTERM until the running step is finished; a second signal acts at once.

    Use as a context manager around training; the earlier handlers come back at its end. Workers stop after
    the same step, whichever of them was asked: each step carries their votes to all, see `TrainingModel`.

    Args:
        model: `TrainingModel` that takes the steps.
        replicas: how many share a step.
    """

    def __init__(self, model=None, replicas=1):
        self.signum = None
        self._model = model if replicas > 1 else None
        self._voted = False
        self._earlier = {}

    def vote(self):
        """Let the next step carry the vote of this process to all of them."""
        if self._model is not None and self.signum and not self._voted:
            self._model.stop_requested.assign(1.0)
            self._voted = True

    @property
    def decided(self):
        """Whether to stop now; the same on all workers after the same step."""
        return bool(self.signum) if self._model is None else self._model.stop_votes.numpy() > 0

    def __enter__(self):
        for signum in (signal.SIGINT, signal.SIGTERM):
            self._earlier[signum] = signal.signal(signum, self._remember)
        return self

    def __exit__(self, *_):
        for signum, handler in self._earlier.items():
            signal.signal(signum, handler)

    def raise_if_decided(self, step):
        """Stop if it is decided.

        Args:
            step: finished steps, all saved.

        Raises:
            Interrupted: it is.
        """
        if self.decided:
            raise Interrupted(self.signum or signal.SIGTERM, step)

    def _remember(self, signum, frame):
        if self.signum is not None:
            raise KeyboardInterrupt
        self.signum = signum
        print(
            f"\n{signal.Signals(signum).name}: finishing this step, then saving (again to stop at once)",
            flush=True,
        )
