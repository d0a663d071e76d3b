"""A layer beside a slow NumPy version: values and gradients, of inputs and of every trained weight."""

import numpy as np
import tensorflow as tf

from tests.float64 import in_float64
from tests.mmgl_tf.losses.view_pairs import numeric_gradients


def values_of(layer):
    """{path below the layer: float64 array} of all variables."""
    return {v.path.split("/", 1)[1]: v.numpy().astype("float64") for v in layer.variables}


def fill(layer, seed=0):
    """Random values for every variable, variances positive."""
    random = np.random.RandomState(seed)
    for variable in layer.variables:
        drawn = 0.5 * random.randn(*variable.shape)
        if variable.path.endswith("moving_variance"):
            drawn = 0.5 + np.abs(drawn)
        variable.assign(drawn)
    return layer


def assert_layer_follows(make, call, slow, *inputs, filled=fill, flat=()):
    """Values and gradients in float64, values in float32 to 1e-5.

    Args:
        make: function () -> a built layer.
        call: function (layer, *inputs) -> tensor.
        slow: function ({path: value}, *inputs) -> array.
        *inputs: float64 arrays.
        filled: function (layer) -> the layer with other weights than the initial ones.
        flat: paths of variables whose gradient is rounding.
    """
    with in_float64():
        layer = filled(make())
        values = values_of(layer)
        expected = slow(values, *inputs)
        weights = np.random.RandomState(99).randn(*expected.shape)
        variables = [tf.Variable(x) for x in inputs]
        with tf.GradientTape() as tape:
            found = call(layer, *[tf.convert_to_tensor(x) for x in variables])
            total = tf.reduce_sum(found * weights)
        assert found.dtype == tf.float64
        # TensorFlow keeps some constants, such as LeakyReLU's slope, in float32 beside float64 tensors.
        np.testing.assert_allclose(found, expected, rtol=1e-7, atol=1e-9)
        trained = [(v.path.split("/", 1)[1], v.value) for v in layer.trainable_variables]
        gradients = tape.gradient(total, [*variables, *(v for _, v in trained)])
    names = [name for name, _ in trained]

    def total_of(*tensors):
        moved = values | dict(zip(names, tensors[len(inputs) :], strict=True))
        return (slow(moved, *tensors[: len(inputs)]) * weights).sum()

    slopes = numeric_gradients(total_of, *inputs, *(values[name] for name in names))
    for name, gradient, slope in zip([None] * len(inputs) + names, gradients, slopes, strict=True):
        np.testing.assert_allclose(gradient, slope, rtol=1e-5, atol=1e-6, err_msg=str(name))
        assert (np.abs(slope).max() > 1e-4) != (name in flat), name

    single = make()
    for variable in single.variables:
        variable.assign(values[variable.path.split("/", 1)[1]])
    found = call(single, *[tf.constant(x, tf.float32) for x in inputs])
    assert found.dtype == tf.float32
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())


def normalised(x, values, name, training):
    """Batch norm of rows [n, C] by NumPy."""
    mean, variance = values[f"{name}/moving_mean"], values[f"{name}/moving_variance"]
    if training:
        mean, variance = x.mean(axis=0), x.var(axis=0)
    return (x - mean) / np.sqrt(variance + 1e-5) * values[f"{name}/gamma"] + values.get(f"{name}/beta", 0)


def softmax(scores):
    """Over the last axis."""
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def largest_tensor(function, *specifications):
    """Numbers in the largest tensor of a traced function."""
    graph = tf.function(function, autograph=False).get_concrete_function(*specifications).graph
    return max(np.prod(t.shape) for op in graph.get_operations() for t in op.outputs if t.shape.rank)
