"""Feature batches of the golden numbers of the triplet losses."""

import numpy as np
import tensorflow as tf

TINY = (np.array([(0, 0), (1, 0), (0, 2), (3, 0)], "float32"), np.array([0, 0, 1, 1]))


def drawn_batch(scale, seed):
    """16 normal 16-d features of four identities, two images each in either modality."""
    features = (np.random.RandomState(seed).randn(16, 16) * scale).astype("float32")
    return features, np.tile(np.repeat(np.arange(4), 2), 2)


def with_gradient(loss, features):
    """(loss, share, gradient with respect to the features), NumPy."""
    features = tf.Variable(features)
    with tf.GradientTape() as tape:
        value, share = loss(features)
    return value.numpy(), share.numpy(), tape.gradient(value, features).numpy()


def slow_distances(features):
    """Distances one pair at a time, float64."""
    features = np.asarray(features, "float64")
    return np.array([[np.sqrt(max(sum((a - b) ** 2), 1e-12)) for b in features] for a in features])


def numeric_gradient(value, features, step=1e-6):
    """Central differences of a function of float64 features."""
    gradient = np.zeros_like(features)
    for place in np.ndindex(*features.shape):
        shift = np.zeros_like(features)
        shift[place] = step
        gradient[place] = (value(features + shift) - value(features - shift)) / (2 * step)
    return gradient
