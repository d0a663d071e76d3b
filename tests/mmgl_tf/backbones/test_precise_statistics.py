import numpy as np
import pytest
import tensorflow as tf

from mmgl_tf.backbones import Encoder
from mmgl_tf.backbones.precise_statistics import PreciseStatistics
from mmgl_tf.pipelines.records import MODALITIES


def images(seed, count=3):
    dice = np.random.default_rng(seed)
    return {
        m: tf.constant(dice.standard_normal((count, 32, 16, 3)) * (1 + number), tf.float32)
        for number, m in enumerate(MODALITIES)
    }


def moving(encoder):
    return {w.path: w.numpy() for w in encoder.weights if "moving" in w.path}


@pytest.fixture(scope="module")
def encoder():
    made = Encoder("resnet10", seed=1)
    made.build()
    made(images(9), training=True)  # statistics of other images
    return made


def batch_statistics(batch):
    """Of every layer, out of how an encoder of the same weights moves its own: m' = 0.9 m + 0.1 batch."""
    other = Encoder("resnet10", seed=1)
    other.build()
    before = moving(other)
    other(batch, training=True)
    return {path: (value - 0.9 * before[path]) / 0.1 for path, value in moving(other).items()}


def test_statistics_are_the_means_over_batches(encoder):
    batches = [images(0), images(1)]
    before = {w.path: w.numpy() for w in encoder.weights}
    found = PreciseStatistics(encoder)(batches)
    own = [batch_statistics(batch) for batch in batches]
    for path, value in moving(found).items():
        expected = (own[0][path] + own[1][path]) / 2
        np.testing.assert_allclose(value, expected, rtol=1e-4, atol=1e-5, err_msg=path)
        assert not np.allclose(value, before[path], rtol=1e-2), path
    for weight in encoder.weights:
        np.testing.assert_array_equal(weight, before[weight.path])
    for weight in found.trainable_variables:
        np.testing.assert_array_equal(weight, before[weight.path])


def test_a_second_estimate_takes_the_present_weights_and_forgets_the_first(encoder):
    estimate = PreciseStatistics(encoder)
    estimate([images(3)])
    kernel = encoder.stem_visible.weights[0]
    old = kernel.numpy()
    kernel.assign(1.5 * old)
    again = moving(estimate([images(0)]))
    fresh = moving(PreciseStatistics(encoder)([images(0)]))
    kernel.assign(old)
    for path, value in fresh.items():
        np.testing.assert_array_equal(again[path], value, err_msg=path)


def test_images_of_one_modality_leave_the_other_stem_as_it_was(encoder):
    batch = {"visible": images(0)["visible"]}
    found = PreciseStatistics(encoder)([batch])
    before = moving(encoder)
    for path, value in moving(found).items():
        assert np.array_equal(value, before[path]) == ("stem_infrared" in path), path


def test_no_batch_is_refused(encoder):
    with pytest.raises(ValueError, match="got no batch"):
        PreciseStatistics(encoder)([])
