import numpy as np
import pytest
import tensorflow as tf

from mmgl_tf.pipelines import random_plan
from mmgl_tf.pipelines.random_plan import Stream, orders, philox, shuffles, uniforms


@pytest.mark.parametrize(
    ("counter", "key", "expected"),
    [  # known answers published with Random123
        ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        ((2**32 - 1,) * 4, (2**32 - 1,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            (0xA4093822, 0x299F31D0),
            (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
        ),
    ],
)
def test_philox_gives_the_published_words(counter, key, expected):
    assert philox(counter, key).tolist() == list(expected)


def test_philox_equals_tensorflows_lane_by_lane():
    words = tf.raw_ops.StatelessRandomUniformFullIntV2(
        shape=[400],
        key=tf.constant([2**40 + 5], tf.uint64),
        counter=tf.constant([0, 3], tf.uint64),
        alg=1,
        dtype=tf.uint32,
    )
    ours = philox((np.arange(100), 0, 3, 0), ((2**40 + 5) & 0xFFFFFFFF, 2**8))
    np.testing.assert_array_equal(ours.reshape(-1), words.numpy())


def test_draws_depend_on_their_own_place_alone():
    whole = uniforms(7, Stream.VISIBLE_IMAGES, 3, np.arange(20), 70)
    part = uniforms(7, Stream.VISIBLE_IMAGES, 3, [13, 2], 50)
    np.testing.assert_array_equal(part, whole[[13, 2], :50])


@pytest.mark.parametrize(
    "other",
    [
        (8, Stream.VISIBLE_IMAGES, 3, [5]),
        (7 + 2**32, Stream.VISIBLE_IMAGES, 3, [5]),
        (7, Stream.INFRARED_IMAGES, 3, [5]),
        (7, Stream.VISIBLE_IMAGES, 4, [5]),
        (7, Stream.VISIBLE_IMAGES, 3, [6]),
    ],
)
def test_every_argument_matters(other):
    assert not np.isin(uniforms(*other, 8), uniforms(7, Stream.VISIBLE_IMAGES, 3, [5], 8)).any()


def test_each_position_may_have_its_own_seed():
    together = uniforms(np.array([3, 2**50]), Stream.VISIBLE_IMAGES, 1, [4, 5], 9)
    np.testing.assert_array_equal(together[0], uniforms(3, Stream.VISIBLE_IMAGES, 1, [4], 9)[0])
    np.testing.assert_array_equal(together[1], uniforms(2**50, Stream.VISIBLE_IMAGES, 1, [5], 9)[0])


def test_uniforms_are_uniform_inside_the_open_interval():
    draws = uniforms(0, Stream.VISIBLE_IMAGES, 0, np.arange(4000), 10)
    assert draws.min() > 0 and draws.max() < 1
    counts = np.histogram(draws, 20, (0, 1))[0]
    # Chi-square with 19 degrees of freedom: 43.8 is exceeded once in a thousand times.
    assert ((counts - 2000) ** 2 / 2000).sum() < 43.8
    assert abs(np.corrcoef(draws.T) - np.eye(10)).max() < 0.06


@pytest.mark.parametrize("word", [0, 2**32 - 1])
def test_extreme_words_stay_inside_the_open_interval(word, monkeypatch):
    monkeypatch.setattr(random_plan, "philox", lambda counter, key: np.full((1, 1, 4), word, np.uint64))
    draws = uniforms(0, Stream.VISIBLE_IMAGES, 0, [0], 4)
    assert (draws > 0).all() and (draws < 1).all()


def test_orders_are_uniform_over_all_permutations():
    drawn = orders(1, Stream.VISIBLE_STRIPES, 0, np.arange(72_000), 6)
    assert (np.sort(drawn, axis=1) == np.arange(6)).all()
    codes = drawn @ 6 ** np.arange(6)
    counts = np.unique(codes, return_counts=True)[1]
    assert len(counts) == 720
    # Mean 719, standard deviation 38.
    assert 560 < ((counts - 100) ** 2 / 100).sum() < 880


def test_shuffles_are_permutations_that_differ_between_passes():
    drawn = shuffles(1, Stream.VISIBLE_ORDER, 0, 3, 1000)
    assert (np.sort(drawn, axis=1) == np.arange(1000)).all()
    assert abs(np.corrcoef(drawn) - np.eye(3)).max() < 0.15
