import numpy as np
import pytest

from mmgl_tf.pipelines.augmentation.stripes import shuffle_stripes, stripe_height, unshuffle_stripes


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (5, 12, 4, 3), np.uint8)


def test_the_papers_figure():
    """Ranking vector 2 4 1 3 0 5: slot i shows original stripe order[i]."""
    image = np.repeat(np.arange(6), 2)[None, :, None, None]
    shuffled = shuffle_stripes(image, np.array([[2, 4, 1, 3, 0, 5]]))
    assert shuffled[0, ::2, 0, 0].tolist() == [2, 4, 1, 3, 0, 5]
    assert shuffled[0, 1::2, 0, 0].tolist() == [2, 4, 1, 3, 0, 5]


def test_the_truth_matrix_recovers_the_ranks():
    order = np.array([2, 4, 1, 3, 0, 5])
    truth = np.zeros((6, 6))
    truth[np.arange(6), order] = 1
    np.testing.assert_array_equal(truth @ np.arange(6), order)
    np.testing.assert_array_equal(truth.T @ order, np.arange(6))


def test_unshuffling_undoes_shuffling(images):
    order = np.array([np.random.default_rng(i).permutation(6) for i in range(5)])
    shuffled = shuffle_stripes(images, order)
    assert not np.array_equal(shuffled, images)
    np.testing.assert_array_equal(unshuffle_stripes(shuffled, order), images)


def test_stripes_must_divide_the_image(images):
    with pytest.raises(ValueError, match=r"5 stripes do not divide an image of 12 rows.*\[2, 3, 4, 6\]"):
        shuffle_stripes(images, np.arange(5)[None])
    assert stripe_height(288, 6) == 48
