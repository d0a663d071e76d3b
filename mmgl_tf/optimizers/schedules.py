"""Learning rates as pure functions of the step: the authors' cosine, the usual one, the baselines' steps."""

import math

import keras
import tensorflow as tf


class _WarmUp(keras.optimizers.schedules.LearningRateSchedule):
    """What the schedules share: their settings, checked and saved.

    Args:
        peak: learning rate at the end of the warm-up, at least 0.
        warmup_epochs: length of the linear warm-up, epochs; may be a fraction, and longer than the run.
        epochs: length of the run, epochs; may be a fraction.
        steps_per_epoch: steps.
        start: None = the warm-up's n-th rate is n / w of the peak, w being its length; else the learning rate
            that it starts from, at least 0: the n-th rate is start + (peak - start) (n - 1) / w.
    """

    def __init__(self, peak, warmup_epochs, epochs, steps_per_epoch, start=None):
        super().__init__()
        what = type(self).__name__
        if peak < 0:
            raise ValueError(f"{what} got peak={peak}; expected at least 0. Change --learning_rate.")
        if steps_per_epoch < 1 or epochs <= 0:
            raise ValueError(
                f"{what} got {epochs} epochs of {steps_per_epoch} steps; expected a positive length. "
                "Change --epochs or --steps_per_epoch."
            )
        if warmup_epochs < 0:
            raise ValueError(
                f"{what} got a warm-up of {warmup_epochs} epochs; expected at least 0. Raise --warmup_epochs."
            )
        if start is not None and start < 0:
            raise ValueError(f"{what} got start={start}; expected a learning rate of at least 0, or None.")
        self.peak = peak
        self.warmup_epochs = warmup_epochs
        self.epochs = epochs
        self.steps_per_epoch = steps_per_epoch
        self.start = start

    def _from_start(self, share):
        """The warm-up's rate where a share of it in [0, 1) has gone by."""
        return self.start + (self.peak - self.start) * share

    def _warming_epoch(self, epoch):
        """The rate of a warm-up that is constant within an epoch; `epoch` are the whole ones gone by."""
        if self.start is None:
            return self.peak * tf.minimum((epoch + 1.0) / float(self.warmup_epochs), 1.0)
        return self._from_start(epoch / float(self.warmup_epochs))

    def get_config(self):
        """Constructor arguments, for saving."""
        return {
            "peak": self.peak,
            "warmup_epochs": self.warmup_epochs,
            "epochs": self.epochs,
            "steps_per_epoch": self.steps_per_epoch,
            "start": self.start,
        }


class _Cosine(_WarmUp):
    """A warm-up and half a cosine.

    Args:
        peak: as in `_WarmUp`, as are warmup_epochs, epochs, steps_per_epoch and start.
        final_fraction: f in [0, 1], share of the peak that the cosine ends at and stays at: its rate c
            becomes f peak + (1 - f) c. Barlow Twins and SwAV have 0.001.
    """

    def __init__(self, peak, warmup_epochs, epochs, steps_per_epoch, start=None, final_fraction=0.0):
        super().__init__(peak, warmup_epochs, epochs, steps_per_epoch, start)
        if not 0.0 <= final_fraction <= 1.0:
            raise ValueError(
                f"{type(self).__name__} got final_fraction={final_fraction}; expected a share in [0, 1], "
                "such as 0.001."
            )
        self.final_fraction = final_fraction

    def _half_cosine(self, progress):
        """Peak at progress 0, falling along half a cosine to its final share at 1, where it stays."""
        cosine = 0.5 * self.peak * (1.0 + tf.cos(math.pi * tf.minimum(progress, 1.0)))
        return self.final_fraction * self.peak + (1.0 - self.final_fraction) * cosine

    def get_config(self):
        """Constructor arguments, for saving."""
        return super().get_config() | {"final_fraction": self.final_fraction}


@keras.saving.register_keras_serializable(package="mmgl_tf")
class AuthorsCosine(_Cosine):
    """The authors' schedule, read off their log: constant within an epoch, cosine counted from epoch 0.

    With e the whole epochs gone by, E `epochs`, W `warmup_epochs`:

        e < W:   peak (e + 1) / W
        e >= W:  peak / 2 (1 + cos(pi e / E)),  0 from e = E on

    The warm-up does not move the cosine, so the rate falls a little at its end: with W = 10 and E = 100 from
    peak to 0.976 peak. Choice: `OffsetCosine` is the alternative (`--lr_schedule`).
    """

    def __call__(self, step):
        """Learning rate.

        Args:
            step: integer scalar, steps gone by (0 for the first).

        Returns:
            float32 scalar in [0, peak].
        """
        # Whole numbers are divided as whole numbers: past 2^24 steps float32 would slip an epoch.
        epoch = tf.cast(tf.cast(step, tf.int64) // self.steps_per_epoch, tf.float32)
        cosine = self._half_cosine(epoch / float(self.epochs))
        if not self.warmup_epochs:
            return cosine
        return tf.where(epoch < float(self.warmup_epochs), self._warming_epoch(epoch), cosine)


@keras.saving.register_keras_serializable(package="mmgl_tf")
class OffsetCosine(_Cosine):
    """The usual schedule: linear warm-up per step, then a cosine over the rest of the run down to 0.

    With s the steps gone by, w the warm-up's and t the run's length in steps:

        s < w:   peak (s + 1) / w
        s >= w:  peak / 2 (1 + cos(pi (s - w) / (t - w))),  0 from s = t on

    `start` and `final_fraction` change both ends, see `_WarmUp` and `_Cosine`.
    """

    def __call__(self, step):
        """Learning rate.

        Args:
            step: integer scalar, steps gone by (0 for the first).

        Returns:
            float32 scalar in [0, peak].
        """
        warmup_steps = round(self.warmup_epochs * self.steps_per_epoch)
        total_steps = max(round(self.epochs * self.steps_per_epoch), warmup_steps + 1)
        step = tf.cast(step, tf.int64)
        beyond = tf.cast(step - warmup_steps, tf.float32)  # exact: the difference is taken between integers
        cosine = self._half_cosine(tf.maximum(beyond, 0.0) / float(total_steps - warmup_steps))
        if not warmup_steps:
            return cosine
        gone = tf.cast(step, tf.float32)
        if self.start is None:
            warming = self.peak * (gone + 1.0) / float(warmup_steps)
        else:
            warming = self._from_start(gone / float(warmup_steps))
        return tf.where(step < warmup_steps, warming, cosine)


@keras.saving.register_keras_serializable(package="mmgl_tf")
class StepDecay(_WarmUp):
    """The baselines' fine-tuning schedule: constant within an epoch, a tenth from each milestone on.

    With e the whole epochs gone by and W `warmup_epochs`:

        e < W:   peak (e + 1) / W
        e >= W:  peak factor^k,  k milestones being at most e

    AGW and the one- and two-stream baselines have W = 10 and milestones 20 and 50 of 81 epochs, MMGL's DDAG
    30 and 50. The length of the run changes nothing: after the last milestone the rate stays. Jigsaw's are at
    0.3, 0.6 and 0.9 of whatever length the run has (`fractions`).

    Args:
        peak: learning rate at the end of the warm-up, at least 0.
        warmup_epochs: length of the linear warm-up, epochs; may be a fraction.
        epochs: length of the run, epochs.
        steps_per_epoch: steps.
        milestones: whole epochs, counted from 0, in ascending order; may be empty, and past the run's end.
        factor: what a milestone multiplies the rate with, in [0, 1].
        start: see the other schedules.
        fractions: None, or the milestones as shares of the run in (0, 1), in ascending order; each is at the
            first step that has so much of the run behind it, wherever in its epoch that is.
    """

    def __init__(
        self,
        peak,
        warmup_epochs,
        epochs,
        steps_per_epoch,
        milestones=(20, 50),
        factor=0.1,
        start=None,
        fractions=None,
    ):
        super().__init__(peak, warmup_epochs, epochs, steps_per_epoch, start)
        milestones = tuple(milestones)
        if any(m < 0 or m != int(m) for m in milestones) or list(milestones) != sorted(set(milestones)):
            raise ValueError(
                f"StepDecay got milestones {milestones}; expected whole epochs in ascending order, such as "
                "(20, 50). Change --lr_milestones."
            )
        fractions = None if fractions is None else tuple(fractions)
        if fractions and (
            not 0 < min(fractions) <= max(fractions) < 1 or list(fractions) != sorted(fractions)
        ):
            raise ValueError(
                f"StepDecay got fractions {fractions}; expected shares of the run in (0, 1) in ascending "
                "order, such as (0.3, 0.6, 0.9)."
            )
        if not 0.0 <= factor <= 1.0:
            raise ValueError(f"StepDecay got factor={factor}; expected a share in [0, 1], such as 0.1.")
        self.milestones = tuple(int(m) for m in milestones)
        self.factor = factor
        self.fractions = fractions

    def _milestone_steps(self):
        """First step of each lower rate."""
        if self.fractions is None:
            return [m * self.steps_per_epoch for m in self.milestones]
        # Rounded first: 0.07 times 100 epochs comes out a little above 7.
        return [math.ceil(round(f * self.epochs * self.steps_per_epoch, 6)) for f in self.fractions]

    def __call__(self, step):
        """Learning rate.

        Args:
            step: integer scalar, steps gone by (0 for the first).

        Returns:
            float32 scalar in [0, peak].
        """
        # Whole numbers are compared as whole numbers: past 2^24 steps float32 would slip an epoch.
        step, steps = tf.cast(step, tf.int64), self._milestone_steps()
        passed = tf.reduce_sum(tf.cast(step >= tf.constant(steps, tf.int64), tf.int32))
        rates = [self.peak * self.factor**k for k in range(len(steps) + 1)]
        decayed = tf.constant(rates, tf.float32)[passed]
        if not self.warmup_epochs:
            return decayed
        epoch = tf.cast(step // self.steps_per_epoch, tf.float32)
        return tf.where(epoch < float(self.warmup_epochs), self._warming_epoch(epoch), decayed)

    def get_config(self):
        """Constructor arguments, for saving."""
        return super().get_config() | {
            "milestones": self.milestones,
            "factor": self.factor,
            "fractions": self.fractions,
        }


# What --lr_schedule selects.
SCHEDULES = {"authors": AuthorsCosine, "offset": OffsetCosine, "step": StepDecay}


def make_schedule(name, peak, warmup_epochs, epochs, steps_per_epoch, milestones=(20, 50), **more):
    """The schedule of a name.

    Args:
        name: key of `SCHEDULES`.
        peak: learning rate at the end of the warm-up, at least 0.
        warmup_epochs: epochs, may be a fraction.
        epochs: length of the run, epochs.
        steps_per_epoch: steps.
        milestones: epochs at which "step" divides the rate by ten; the cosines have none.
        **more: further arguments of the schedule's class: start, final_fraction, factor, fractions.

    Returns:
        A Keras learning-rate schedule.

    Raises:
        ValueError: a name that is not in `SCHEDULES`, or a length that cannot be.
    """
    if name not in SCHEDULES:
        raise ValueError(
            f"Got the learning-rate schedule {name!r}; expected one of {', '.join(SCHEDULES)}. "
            "Set --lr_schedule."
        )
    if name == "step":
        more["milestones"] = milestones
    return SCHEDULES[name](peak, warmup_epochs, epochs, steps_per_epoch, **more)
