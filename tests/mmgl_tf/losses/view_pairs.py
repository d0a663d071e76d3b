"""Embeddings of two views for the tests of the two-view losses, and gradients of any number of tensors."""

import numpy as np
import tensorflow as tf


def drawn_views(count=6, size=8, seed=0, noise=0.5):
    """Two float64 [count, size] that resemble each other row by row."""
    first = np.random.RandomState(seed).randn(count, size)
    return first, first + noise * np.random.RandomState(seed + 1).randn(count, size)


def with_gradients(loss, *tensors):
    """(what `loss` returns, gradients of it, or of its first part), NumPy, in the tensors' own types."""
    variables = [tf.Variable(tensor) for tensor in tensors]
    with tf.GradientTape() as tape:
        result = loss(*[tf.convert_to_tensor(variable) for variable in variables])
        value = result[0] if isinstance(result, tuple) else result
    gradients = tape.gradient(value, variables, unconnected_gradients="zero")
    return tf.nest.map_structure(lambda x: x.numpy(), result), [g.numpy() for g in gradients]


def numeric_gradients(value, *tensors, step=1e-6):
    """Central differences of a function of float64 arrays, an array for each of them."""
    gradients = []
    for place, tensor in enumerate(tensors):
        gradient = np.zeros_like(tensor)
        for index in np.ndindex(*tensor.shape):
            moved = [[np.array(other, "float64") for other in tensors] for _ in range(2)]
            moved[0][place][index] += step
            moved[1][place][index] -= step
            gradient[index] = (value(*moved[0]) - value(*moved[1])) / (2 * step)
        gradients.append(gradient)
    return gradients


def assert_follows(loss, slow, *tensors):
    """The loss and its gradients, computed in float32, are a slow float64 version's: to 1e-5."""
    result, gradients = with_gradients(loss, *[tensor.astype("float32") for tensor in tensors])
    value = result[0] if isinstance(result, tuple) else result
    assert value.dtype == "float32"
    np.testing.assert_allclose(value, slow(*tensors), rtol=1e-5, atol=1e-6)
    for gradient, expected in zip(gradients, numeric_gradients(slow, *tensors), strict=True):
        np.testing.assert_allclose(gradient, expected, atol=1e-5 * max(np.abs(expected).max(), 0.1))
