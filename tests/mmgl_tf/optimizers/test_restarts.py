import keras
import numpy as np
import pytest
import tensorflow as tf

from mmgl_tf.optimizers.restarts import Restarts
from mmgl_tf.optimizers.schedules import OffsetCosine, StepDecay


def stages():
    return OffsetCosine(0.4, 1, 3, 5), StepDecay(0.2, 2, 4, 5, milestones=(3,)), OffsetCosine(0.1, 0, 2, 5)


@pytest.mark.parametrize("kind", ["python", "graph"])
def test_each_stage_counts_from_its_own_beginning(kind):
    schedule = Restarts(stages())
    rate = schedule if kind == "python" else tf.function(schedule.__call__, autograph=False)
    found = [float(rate(tf.constant(step, tf.int64))) for step in range(60)]
    first, second, third = stages()
    expected = [first(step) for step in range(15)] + [second(step) for step in range(20)]
    expected += [third(step) for step in range(25)]  # beyond its end, too
    np.testing.assert_allclose(found, [float(value) for value in expected], rtol=1e-5, atol=1e-8)


def test_one_stage_is_that_schedule_and_the_peak_is_the_highest():
    only = Restarts(stages()[:1])
    assert [float(only(step)) for step in range(20)] == [float(stages()[0](step)) for step in range(20)]
    assert Restarts(stages()).peak == 0.4
    with pytest.raises(ValueError, match="expected at least one schedule"):
        Restarts([])


def test_config_rebuilds_the_schedule():
    schedule = Restarts(stages())
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(schedule))
    assert [float(again(step)) for step in range(40)] == [float(schedule(step)) for step in range(40)]
