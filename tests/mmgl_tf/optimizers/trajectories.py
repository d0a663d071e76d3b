"""Paths that optimisers take, for tests: ours step by step, and how a variable is named."""

import contextlib

import keras
import numpy as np
import tensorflow as tf


def variable(path, value):
    """A float32 variable of a path such as "encoder/layer1/kernel"."""
    *layers, leaf = path.split("/")
    with contextlib.ExitStack() as scopes:
        for layer in layers:
            scopes.enter_context(keras.name_scope(layer))
        return keras.Variable(np.array(value, "float32"), name=leaf)


def paths_of(optimizer, starts, gradients, rates, mode="eager"):
    """The values of variables after each step.

    Args:
        optimizer: of which the learning rate is a number.
        starts: {path: initial value}.
        gradients: for each step, a list of arrays, one a variable.
        rates: for each step.
        mode: "eager", "graph" or "jit".

    Returns:
        for each step, a list of arrays.
    """
    variables = [variable(path, value) for path, value in starts.items()]
    optimizer.build(variables)

    def step(*given):
        optimizer.apply(list(given), variables)

    if mode != "eager":
        step = tf.function(step, jit_compile=mode == "jit", autograph=False)
    found = []
    for given, rate in zip(gradients, rates, strict=True):
        optimizer.learning_rate = rate
        step(*[tf.constant(g, tf.float32) for g in given])
        found.append([v.numpy() for v in variables])
    return found
