import keras
import numpy as np
import pytest
import tensorflow as tf

from mmgl_tf.layers.normalization.batch_norm import FusedBatchNorm
from mmgl_tf.training.step.momentum import MomentumCopy, cosine_momentum
from mmgl_tf.training.step.state import move_state


def network(name, units=2):
    layers = [keras.Input((3,)), keras.layers.Dense(units, name="dense"), FusedBatchNorm(name="norm")]
    return keras.Sequential(layers, name=name)


@pytest.mark.parametrize(("start", "total"), [(0.99, 40), (0.996, 7), (0.0, 3), (1.0, 2)])
def test_momentum_rises_along_half_a_cosine(start, total):
    for step in range(total + 3):
        expected = 1 - (1 - start) * (1 + np.cos(np.pi * min(step / total, 1.0))) / 2
        found = cosine_momentum(tf.constant(step, tf.int64), total, start)
        assert found.dtype == tf.float32 and float(found) == pytest.approx(expected, abs=1e-7)
    assert float(cosine_momentum(0, total, start)) == pytest.approx(start, abs=1e-7)
    assert float(cosine_momentum(total, total, start)) == 1.0


def test_the_copy_starts_equal_and_follows_with_its_weights_alone():
    online, target = network("online"), network("target")
    dice = np.random.default_rng(0)
    for variable in online.weights:
        variable.assign(dice.random(variable.shape))
    copy = MomentumCopy([(online, target)])
    copy.start()
    for one, other in zip(online.weights, target.weights, strict=True):
        np.testing.assert_array_equal(one, other)
    before = {variable.path: variable.numpy() for variable in target.weights}
    for variable in online.weights:
        variable.assign(dice.random(variable.shape))
    move_state(copy.moves(0.9), taken=None)
    assert {id(v) for v in copy.variables} == {id(v) for v in target.trainable_variables}
    for one, other in zip(online.weights, target.weights, strict=True):
        expected = before[other.path]
        if "moving" not in other.path:
            expected = 0.9 * expected + 0.1 * one.numpy()
        np.testing.assert_allclose(other, expected, rtol=1e-6)


def test_a_copy_of_another_size_is_refused():
    with pytest.raises(
        ValueError, match=r"target with 6 weights cannot follow online with 6; expected weights"
    ):
        MomentumCopy([(network("online"), network("target", units=3))])


def test_new_values_are_read_before_any_is_assigned():
    """Two variables may change places."""
    one, other = keras.Variable([1.0]), keras.Variable([2.0])
    move_state([(one, other.value), (other, one.value)], taken=None)
    assert (float(one[0]), float(other[0])) == (2.0, 1.0)
    move_state([(one, other.value), (other, one.value)], taken=tf.constant(False))
    assert (float(one[0]), float(other[0])) == (2.0, 1.0)
