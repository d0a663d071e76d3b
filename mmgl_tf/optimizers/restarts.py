"""A learning-rate schedule in stages, each beginning anew."""

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable(package="mmgl_tf")
class Restarts(keras.optimizers.schedules.LearningRateSchedule):
    """Schedules one after the other, each counting its steps from the beginning of its stage.

    The last one goes on beyond its end. PSL's stages each have a warm-up of their own.

    Args:
        stages: schedules of `mmgl_tf.optimizers.schedules`, at least one; each one's `epochs` and
            `steps_per_epoch` say how long its stage is, whole steps.

    Attributes:
        peak: the highest of the stages' peaks.

    Raises:
        ValueError: there are no stages.
    """

    def __init__(self, stages):
        super().__init__()
        if not stages:
            raise ValueError("Restarts got no stages; expected at least one schedule.")
        self.stages = tuple(stages)
        self.peak = max(stage.peak for stage in stages)

    def __call__(self, step):
        """Learning rate.

        Args:
            step: integer scalar, steps gone by (0 for the first).

        Returns:
            float32 scalar.
        """
        step, begin = tf.cast(step, tf.int64), 0
        rate = self.stages[0](step)
        for before, stage in zip(self.stages, self.stages[1:], strict=False):
            begin += round(before.epochs * before.steps_per_epoch)
            rate = tf.where(step < begin, rate, stage(tf.maximum(step - begin, 0)))
        return rate

    def get_config(self):
        """Constructor arguments, for saving."""
        return {"stages": [keras.saving.serialize_keras_object(stage) for stage in self.stages]}

    @classmethod
    def from_config(cls, config):
        """The schedule of a configuration."""
        return cls([keras.saving.deserialize_keras_object(stage) for stage in config["stages"]])
