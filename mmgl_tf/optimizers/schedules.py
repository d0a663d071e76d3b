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
    """

    def __init__(self, peak, warmup_epochs, epochs, steps_per_epoch):
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
        self.peak = peak
        self.warmup_epochs = warmup_epochs
        self.epochs = epochs
        self.steps_per_epoch = steps_per_epoch

    def get_config(self):
        """Constructor arguments, for saving."""
        return {
            "peak": self.peak,
            "warmup_epochs": self.warmup_epochs,
            "epochs": self.epochs,
            "steps_per_epoch": self.steps_per_epoch,
        }


@keras.saving.register_keras_serializable(package="mmgl_tf")
class AuthorsCosine(_WarmUp):
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
        cosine = _half_cosine(self.peak, epoch / float(self.epochs))
        if not self.warmup_epochs:
            return cosine
        warming = self.peak * tf.minimum((epoch + 1.0) / float(self.warmup_epochs), 1.0)
        return tf.where(epoch < float(self.warmup_epochs), warming, cosine)


@keras.saving.register_keras_serializable(package="mmgl_tf")
class OffsetCosine(_WarmUp):
    """The usual schedule: linear warm-up per step, then a cosine over the rest of the run down to 0.

    With s the steps gone by, w the warm-up's and t the run's length in steps:

        s < w:   peak (s + 1) / w
        s >= w:  peak / 2 (1 + cos(pi (s - w) / (t - w))),  0 from s = t on
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
        cosine = _half_cosine(self.peak, tf.maximum(beyond, 0.0) / float(total_steps - warmup_steps))
        if not warmup_steps:
            return cosine
        warming = self.peak * (tf.cast(step, tf.float32) + 1.0) / float(warmup_steps)
        return tf.where(step < warmup_steps, warming, cosine)


@keras.saving.register_keras_serializable(package="mmgl_tf")
class StepDecay(_WarmUp):
    """The baselines' fine-tuning schedule: constant within an epoch, a tenth from each milestone on.

    With e the whole epochs gone by and W `warmup_epochs`:

        e < W:   peak (e + 1) / W
        e >= W:  peak factor^k,  k milestones being at most e

    AGW and the one- and two-stream baselines have W = 10 and milestones 20 and 50 of 81 epochs, MMGL's DDAG
    30 and 50. The length of the run changes nothing: after the last milestone the rate stays.

    Args:
        peak: learning rate at the end of the warm-up, at least 0.
        warmup_epochs: length of the linear warm-up, epochs; may be a fraction.
        epochs: length of the run, epochs.
        steps_per_epoch: steps.
        milestones: whole epochs, counted from 0, in ascending order; may be empty, and past the run's end.
        factor: what a milestone multiplies the rate with, in [0, 1].
    """

    def __init__(self, peak, warmup_epochs, epochs, steps_per_epoch, milestones=(20, 50), factor=0.1):
        super().__init__(peak, warmup_epochs, epochs, steps_per_epoch)
        milestones = tuple(milestones)
        if any(m < 0 or m != int(m) for m in milestones) or list(milestones) != sorted(set(milestones)):
            raise ValueError(
                f"StepDecay got milestones {milestones}; expected whole epochs in ascending order, such as "
                "(20, 50). Change --lr_milestones."
            )
        if not 0.0 <= factor <= 1.0:
            raise ValueError(f"StepDecay got factor={factor}; expected a share in [0, 1], such as 0.1.")
        self.milestones = tuple(int(m) for m in milestones)
        self.factor = factor

    def __call__(self, step):
        """Learning rate.

        Args:
            step: integer scalar, steps gone by (0 for the first).

        Returns:
            float32 scalar in [0, peak].
        """
        # Whole numbers are divided as whole numbers: past 2^24 steps float32 would slip an epoch.
        epoch = tf.cast(step, tf.int64) // self.steps_per_epoch
        passed = tf.reduce_sum(tf.cast(epoch >= tf.constant(self.milestones, tf.int64), tf.int32))
        rates = [self.peak * self.factor**k for k in range(len(self.milestones) + 1)]
        decayed = tf.constant(rates, tf.float32)[passed]
        if not self.warmup_epochs:
            return decayed
        epoch = tf.cast(epoch, tf.float32)
        warming = self.peak * tf.minimum((epoch + 1.0) / float(self.warmup_epochs), 1.0)
        return tf.where(epoch < float(self.warmup_epochs), warming, decayed)

    def get_config(self):
        """Constructor arguments, for saving."""
        return super().get_config() | {"milestones": self.milestones, "factor": self.factor}


def _half_cosine(peak, progress):
    """Peak at progress 0, falling along half a cosine to 0 at progress 1, and 0 from there on."""
    return 0.5 * peak * (1.0 + tf.cos(math.pi * tf.minimum(progress, 1.0)))


# What --lr_schedule selects.
SCHEDULES = {"authors": AuthorsCosine, "offset": OffsetCosine, "step": StepDecay}


def make_schedule(name, peak, warmup_epochs, epochs, steps_per_epoch, milestones=(20, 50)):
    """The schedule of a name.

    Args:
        name: key of `SCHEDULES`.
        peak: learning rate at the end of the warm-up, at least 0.
        warmup_epochs: epochs, may be a fraction.
        epochs: length of the run, epochs.
        steps_per_epoch: steps.
        milestones: epochs at which "step" divides the rate by ten; the cosines have none.

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
    more = {"milestones": milestones} if name == "step" else {}
    return SCHEDULES[name](peak, warmup_epochs, epochs, steps_per_epoch, **more)
