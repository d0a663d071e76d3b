import numpy as np
import tensorflow as tf

from mmgl_tf.losses.identification.identity_centres import first_of_identity, identity_centres

IDENTITIES = np.array([5, 2, 5, 9, 2, 2])
FEATURES = np.random.RandomState(0).randn(6, 4)


def test_centres_are_means_of_the_identity_and_stand_in_its_rows():
    centres, present = identity_centres(FEATURES, IDENTITIES)
    for row, own in enumerate(IDENTITIES):
        np.testing.assert_allclose(centres[row], FEATURES[own == IDENTITIES].mean(axis=0), rtol=1e-12)
    assert centres.dtype == tf.float64
    np.testing.assert_array_equal(present, [True] * 6)


def test_only_counted_images_make_the_mean():
    counted = np.array([True, False, False, False, True, True])
    centres, present = identity_centres(FEATURES.astype("float32"), IDENTITIES, counted)
    np.testing.assert_array_equal(present, [True, True, True, False, True, True])
    np.testing.assert_allclose(centres[2], FEATURES[0], rtol=1e-6)
    np.testing.assert_allclose(centres[1], FEATURES[4:].mean(axis=0), rtol=1e-5)
    np.testing.assert_array_equal(centres[3], np.zeros(4))
    assert centres.dtype == tf.float32


def test_the_first_of_each_identity():
    np.testing.assert_array_equal(first_of_identity(IDENTITIES), [True, True, False, True, False, False])
    np.testing.assert_array_equal(first_of_identity(np.zeros(3, "int32")), [True, False, False])


def test_half_precision_is_raised():
    assert identity_centres(tf.ones([2, 3], tf.bfloat16), np.zeros(2))[0].dtype == tf.float32
