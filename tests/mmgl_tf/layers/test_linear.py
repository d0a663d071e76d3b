import keras
import numpy as np
import pytest
import tensorflow as tf

from mmgl_tf.layers.linear import Linear


def built(units=3, channels=4, **kwargs):
    layer = Linear(units, **{"name": "linear1", **kwargs})
    layer.build((None, channels))
    return layer


@pytest.mark.parametrize("bias", [True, False, "frozen"])
def test_output_and_gradients_follow_the_formula(bias):
    layer, x = built(bias=bias), np.random.RandomState(0).randn(5, 4).astype("float32")
    direction = np.random.RandomState(1).randn(5, 3).astype("float32")
    inputs = tf.Variable(x)
    with tf.GradientTape() as tape:
        y = layer(inputs)
        total = tf.reduce_sum(y * direction)
    kernel, offset = layer.kernel.numpy(), layer.bias.numpy() if bias else 0
    expected = (
        np.array([[sum(row[c] * kernel[c, d] for c in range(4)) for d in range(3)] for row in x]) + offset
    )
    np.testing.assert_allclose(y, expected, atol=1e-6)
    variables = [v.value for v in layer.trainable_variables]
    by_x, by_kernel, *by_bias = tape.gradient(total, [inputs, *variables])
    np.testing.assert_allclose(by_x, direction @ kernel.T, atol=1e-6)
    np.testing.assert_allclose(by_kernel, x.T @ direction, atol=1e-5)
    assert len(by_bias) == (bias is True)
    if by_bias:
        np.testing.assert_allclose(by_bias[0], direction.sum(axis=0), atol=1e-5)


def test_initial_values_are_pytorchs():
    """Uniform within +-1/sqrt(C), both: standard deviation 1/sqrt(3 C)."""
    layer = built(1000, 400)
    for values in (layer.kernel.numpy(), layer.bias.numpy()):
        assert np.abs(values).max() <= 0.05
        assert np.abs(values).max() > 0.0495
        assert values.std() == pytest.approx(0.05 / np.sqrt(3), rel=0.05)
        assert values.mean() == pytest.approx(0.0, abs=0.004)


def test_initial_values_follow_seed_and_place_alone():
    first, again = built(place="projector/linear1"), built(place="projector/linear1", name="other")
    np.testing.assert_array_equal(first.kernel.numpy(), again.kernel.numpy())
    np.testing.assert_array_equal(first.bias.numpy(), again.bias.numpy())
    for other in (built(place="projector/linear1", seed=1), built(place="predictor/linear1")):
        assert (other.kernel.numpy() != first.kernel.numpy()).any()
        assert (other.bias.numpy() != first.bias.numpy()).any()
    square = built(4, 1)
    assert (square.kernel.numpy()[0] != square.bias.numpy()).any()


def test_a_frozen_bias_is_zero_and_not_trained():
    layer = built(bias="frozen")
    np.testing.assert_array_equal(layer.bias.numpy(), np.zeros(3))
    assert [v.path for v in layer.trainable_variables] == ["linear1/kernel"]
    assert [v.path for v in layer.non_trainable_variables] == ["linear1/bias"]


def test_it_is_float32_under_mixed_precision():
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    layer = built()
    assert layer(tf.ones([2, 4], tf.bfloat16)).dtype == tf.float32
    assert {v.dtype for v in layer.variables} == {"float32"}


@pytest.mark.parametrize("bias", [True, False, "frozen"])
def test_config_rebuilds_the_layer(bias):
    layer = built(bias=bias, place="head/linear2", seed=7)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert again.get_config() == layer.get_config()
    np.testing.assert_array_equal(again(np.ones((1, 4))), layer(np.ones((1, 4))))
    assert again.compute_output_shape((7, 4)) == (7, 3)


def test_wrong_arguments_say_what_was_expected():
    with pytest.raises(ValueError, match="units=0; expected an integer of at least 1"):
        Linear(0)
    with pytest.raises(ValueError, match="bias='zero'; expected True, False or 'frozen'"):
        Linear(3, bias="zero")
