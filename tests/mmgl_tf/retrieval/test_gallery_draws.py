import random

import numpy as np
import pytest

from mmgl_tf.pipelines.readers.regdb import PROTOCOL as REGDB
from mmgl_tf.pipelines.readers.sysu import PROTOCOL as SYSU
from mmgl_tf.pipelines.records import Protocol
from mmgl_tf.retrieval.gallery_draws import Setting, gallery_draws, settings_of

# What Python's generator, seeded with the trial, chooses from folders of these sizes (any Python since 3.2).
SIZES = (20, 20, 15, 18, 20, 9, 33)
CHOICES = {0: [12, 13, 0, 8, 16, 7, 25], 1: [4, 18, 13, 2, 8, 1, 31], 9: [14, 19, 5, 8, 4, 2, 0]}
SAMPLES = {
    0: [
        [12, 13, 1, 8, 15, 6, 19, 4, 7, 5],
        [18, 6, 16, 4, 9, 2, 12, 1, 15, 17],
        [14, 8, 11, 9, 2, 4, 1, 13, 6, 5],
    ],
    1: [
        [4, 18, 2, 8, 3, 7, 12, 14, 13, 10],
        [12, 6, 3, 15, 0, 14, 13, 18, 19, 9],
        [12, 14, 0, 11, 7, 4, 3, 1, 2, 13],
    ],
}


def folders(sizes, cameras=(1, 2, 4, 5)):
    """Labels of folders of the given sizes, filled identity by identity, camera by camera."""
    identities = np.repeat([10 + n // len(cameras) for n in range(len(sizes))], sizes)
    places = np.repeat([cameras[n % len(cameras)] for n in range(len(sizes))], sizes)
    return identities, places


def inside(indices, sizes):
    """Positions within the folders."""
    starts = np.cumsum([0, *sizes[:-1]])
    return indices - np.repeat(starts, len(indices) // len(sizes))


def test_single_shot_golden_draws():
    draws = gallery_draws(*folders(SIZES), SYSU, "all", 1)
    assert len(draws) == 10
    for trial, chosen in CHOICES.items():
        assert inside(draws[trial], SIZES).tolist() == chosen


def test_multi_shot_golden_draws():
    draws = gallery_draws(*folders(SIZES[:3]), SYSU, "all", 10, trials=2)
    for trial, chosen in SAMPLES.items():
        assert inside(draws[trial], SIZES[:3]).reshape(3, 10).tolist() == chosen


def test_cameras_that_lack_images_do_not_consume_the_generator():
    # Identity 10 has camera 2 only, 11 has cameras 1 and 2: three choices, in that order.
    identities, cameras = np.array([10] * 20 + [11] * 35), np.array([2] * 20 + [1] * 20 + [2] * 15)
    draw = gallery_draws(identities, cameras, SYSU, "indoor", 1)[0]
    assert draw.tolist() == [12, 20 + 13, 40 + 0]


def test_an_indoor_draw_is_no_part_of_the_draw_from_all():
    labels = folders((20,) * 8)
    everywhere, indoor = (gallery_draws(*labels, SYSU, search, 1)[3] for search in ("all", "indoor"))
    assert len(everywhere) == 8
    assert len(indoor) == 4
    assert set(labels[1][indoor]) == {1, 2}
    assert not set(indoor) <= set(everywhere)


def test_a_small_folder_gives_all_it_has_in_the_drawn_order():
    draw = gallery_draws(*folders((4, 20)), SYSU, "all", 10)[5]
    generator = random.Random(5)
    expected = generator.sample(range(4), 4) + [4 + place for place in generator.sample(range(20), 10)]
    assert draw.tolist() == expected


def test_the_order_of_the_split_does_not_matter_but_that_of_files_does():
    identities, cameras = folders((20,) * 8)
    order = np.argsort(cameras, kind="stable")  # camera by camera instead of identity by identity
    straight = gallery_draws(identities, cameras, SYSU, "all", 10)[2]
    other = gallery_draws(identities[order], cameras[order], SYSU, "all", 10)[2]
    np.testing.assert_array_equal(order[other], straight)


def test_official_draws():
    identities, cameras = folders((5, 4), (1, 2))
    rng = np.random.default_rng(0)
    frames = {c: {10: np.array([rng.permutation(n) + 1 for _ in range(3)])} for c, n in ((1, 5), (2, 4))}
    for shots in (1, 2, 10):
        for trial, draw in enumerate(
            gallery_draws(identities, cameras, SYSU, "all", shots, "official", 3, frames)
        ):
            expected = [*(frames[1][10][trial][:shots] - 1), *(5 + frames[2][10][trial][:shots] - 1)]
            assert draw.tolist() == expected


def test_permutations_that_do_not_fit_are_refused():
    labels = folders((5, 4), (1, 2))
    with pytest.raises(ValueError, match="no permutations are given"):
        gallery_draws(*labels, SYSU, "all", 1, "official")
    good = {1: {10: np.arange(1, 6)[None]}, 2: {10: np.arange(1, 5)[None]}}
    gallery_draws(*labels, SYSU, "all", 1, "official", 1, good)
    for wrong in ({1: good[1]}, {**good, 2: {10: np.arange(1, 6)[None]}}):
        with pytest.raises(ValueError, match="Camera 2, identity 10"):
            gallery_draws(*labels, SYSU, "all", 1, "official", 1, wrong)
    with pytest.raises(ValueError, match="trial 2 is asked for, but the permutations hold 1 trials"):
        gallery_draws(*labels, SYSU, "all", 1, "official", 2, good)


def test_protocols_without_a_draw_have_one_gallery_of_everything():
    draws = gallery_draws([1, 1, 2], [2, 2, 2], REGDB, "", 0, trials=10)
    assert [draw.tolist() for draw in draws] == [[0, 1, 2]]


def test_settings():
    assert settings_of(SYSU) == [
        Setting(search, shots, "infrared_to_visible") for search in ("all", "indoor") for shots in (1, 10)
    ]
    assert settings_of(REGDB) == [
        Setting("", 0, "visible_to_infrared"),
        Setting("", 0, "infrared_to_visible"),
    ]
    assert settings_of(Protocol("folder")) == [Setting("", 0, "infrared_to_visible")]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"search": "outdoor"}, "search is 'outdoor'; the protocol 'sysu' has all, indoor"),
        ({"draw": "lucky"}, "draw is 'lucky'"),
        ({"shots": 0}, "shots is 0"),
        ({"trials": 0}, "trials is 0"),
        ({"search": "indoor"}, "gallery has cameras .4, 5."),
    ],
)
def test_bad_input_is_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        gallery_draws(*folders((3, 3), (4, 5)), SYSU, **arguments)
