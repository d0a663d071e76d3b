import numpy as np
import pytest
import tensorflow as tf

from mmgl_tf.losses.identity_order import identity_order


def slow_order(features, labels):
    """A pair of pairs at a time."""
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    values, weights = np.zeros(len(labels)), np.zeros(len(labels))
    for i, own in enumerate(labels):
        found = []
        for j, companion in enumerate(labels):
            for k, stranger in enumerate(labels):
                if j != i and companion == own and stranger != own:
                    near, far = unit[i] @ unit[j], unit[i] @ unit[k]
                    found.append(1.0 if near > far else 0.5 if near == far else 0.0)
        if found:
            values[i], weights[i] = np.mean(found), 1.0
    return values, weights


@pytest.mark.parametrize("seed", range(3))
def test_values_follow_the_slow_version(seed):
    dice = np.random.default_rng(seed)
    labels = np.array([4, 7, 4, 9, 7, 4, 0, 7], np.int32)  # 9 and 0 have no companion
    features = dice.standard_normal((8, 5)) * dice.uniform(0.1, 9, (8, 1))
    values, weights = identity_order(tf.constant(features, tf.float32), tf.constant(labels))
    expected, expected_weights = slow_order(features, labels)
    assert values.dtype == weights.dtype == tf.float32
    np.testing.assert_allclose(values, expected, atol=1e-6)
    np.testing.assert_array_equal(weights, expected_weights)
    assert weights.numpy().sum() == 6


def test_right_is_1_wrong_is_0_and_a_point_is_chance():
    labels = tf.constant([0, 0, 1, 1])
    pairs = tf.constant([[1.0, 0.0], [2.0, 0.1], [0.0, 1.0], [0.1, 3.0]])
    np.testing.assert_array_equal(identity_order(pairs, labels)[0], 1.0)
    apart = tf.constant([[1.0, 0.0], [-1.0, 0.0], [1.0, 0.1], [-1.0, 0.1]])
    np.testing.assert_array_equal(identity_order(apart, tf.constant([0, 0, 1, 2]))[0], [0, 0, 0, 0])
    np.testing.assert_array_equal(identity_order(tf.ones([4, 2]), labels)[0], 0.5)


def test_chance_is_a_half_whatever_the_batch_holds():
    dice = np.random.default_rng(0)
    for people in (2, 20):
        labels = tf.constant(dice.integers(people, size=300), tf.int32)
        values, weights = identity_order(tf.constant(dice.standard_normal((300, 40)), tf.float32), labels)
        mean = tf.reduce_sum(values * weights) / tf.reduce_sum(weights)
        assert mean.numpy() == pytest.approx(0.5, abs=0.03)


def test_one_person_or_all_different_ones_say_nothing():
    rows = tf.random.stateless_normal([3, 4], [0, 1])
    for labels in ([5, 5, 5], [1, 2, 3]):
        values, weights = identity_order(rows, tf.constant(labels))
        np.testing.assert_array_equal(weights, 0.0)
        np.testing.assert_array_equal(values, 0.0)
