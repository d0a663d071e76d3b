import numpy as np
import pytest

from mmgl_tf.pipelines.batches.identity_passes import passes_plan, steps_in_identity_pass
from mmgl_tf.pipelines.random_plan import Stream, orders, shuffles

# Neither sorted nor gapless; 4 has no infrared images, 9 no visible ones, 12 one infrared image only.
VISIBLE = np.array([7, 4, 3, 7, 5, 5, 5, 12, 3, 4, 7, 12, 3, 5, 3, 5])
INFRARED = np.array([12, 3, 3, 7, 9, 5, 7, 3, 5, 5, 7, 3, 5, 3])
REGDB = np.repeat(np.arange(206), 10)


def plan(identities=2, images=2, seed=1, epoch=0, steps=9, once=False):
    return passes_plan(VISIBLE, INFRARED, identities, images, seed, epoch, steps, once)


def sysu_like():
    """Identities of images in SYSU-MM01's numbers: 395 people, 22,258 and 11,909 images.

    How many there are of each person is made up, within the published least numbers (10 and 20): one infrared
    camera of 20 frames, or two of about 20.
    """
    infrared = np.array([20] * 194 + [29] + [40] * 200)
    infrared[196:392:7] += 1
    infrared[199:392:7] -= 1
    visible = np.full(395, 56)
    visible[0] = 10
    visible[1:185] += 1
    assert (visible.sum(), infrared.sum()) == (22258, 11909)
    assert (visible.min(), infrared.min()) == (10, 20)
    return np.repeat(np.arange(395), visible), np.repeat(np.arange(395), infrared)


def test_the_data_sets_have_the_published_steps():
    sysu = sysu_like()
    assert {steps_in_identity_pass(*sysu, 16, 4, seed) for seed in range(3)} <= {182, 183}
    assert {steps_in_identity_pass(REGDB, REGDB, 12, 5, seed) for seed in range(3)} == {34}
    assert steps_in_identity_pass(*sysu, 16, 4, 0, once=True) == 24
    assert steps_in_identity_pass(REGDB, REGDB, 8, 4, 0, once=True) == 25


def slow_plan(people, each, seed, epoch, steps, once):
    """As `passes_plan`, one image at a time, from the published samplers' description."""
    drawable = sorted(set(VISIBLE.tolist()) & set(INFRARED.tolist()))
    rows, number = [], 0
    while len(rows) < steps:
        lists = []
        for known, stream in (
            (VISIBLE, Stream.VISIBLE_OF_IDENTITY),
            (INFRARED, Stream.INFRARED_OF_IDENTITY),
        ):
            shuffled = shuffles(seed, stream, epoch, number + 1, len(known))[number]
            lists.append({k: [i for i in shuffled.tolist() if known[i] == k] for k in drawable})
        waiting = {}
        for k in drawable:
            fewer = min(len(lists[0][k]), len(lists[1][k]))
            portions = [
                tuple([part[k][(each * n + i) % len(part[k])] for i in range(each)] for part in lists)
                for n in range(max(1, fewer // each))
            ]
            waiting[k] = portions[:1] if once else portions
        number += 1
        while sum(bool(portions) for portions in waiting.values()) >= people:
            order = orders(seed, Stream.IDENTITY_ORDER, epoch, [len(rows)], len(drawable))[0]
            chosen = [drawable[place] for place in order if waiting[drawable[place]]][:people]
            portions = [waiting[k].pop(0) for k in chosen]
            rows.append([[i for portion in portions for i in portion[m]] for m in (0, 1)])
    return [[row[m] for row in rows[:steps]] for m in (0, 1)]


@pytest.mark.parametrize("once", [False, True])
@pytest.mark.parametrize(("people", "each"), [(2, 2), (1, 3), (4, 1), (3, 2)])
def test_the_plan_equals_one_made_image_by_image(people, each, once):
    found = plan(people, each, seed=5, epoch=2, steps=7, once=once)
    for own, slow in zip(found, slow_plan(people, each, 5, 2, 7, once), strict=True):
        assert own.dtype == np.int64
        np.testing.assert_array_equal(own, slow)


@pytest.mark.parametrize("once", [False, True])
def test_batches_show_blocks_of_the_same_people_in_both_modalities(once):
    visible, infrared = plan(once=once)
    np.testing.assert_array_equal(VISIBLE[visible], INFRARED[infrared])
    blocks = VISIBLE[visible].reshape(-1, 2, 2)
    assert (blocks == blocks[:, :, :1]).all() and (blocks[:, 0, 0] != blocks[:, 1, 0]).all()
    assert set(blocks.ravel().tolist()) == {3, 5, 7, 12}


def test_a_pass_repeats_no_image_and_ends_when_too_few_people_are_left():
    pair = sysu_like()
    steps = steps_in_identity_pass(*pair, 16, 4, 3)
    found = passes_plan(*pair, 16, 4, 3, 0, steps)
    for own in found:
        assert len(np.unique(own)) == own.size == steps * 64
    shown = np.bincount(pair[1][found[1]].ravel(), minlength=395) // 4
    held = np.minimum(*(np.bincount(known, minlength=395) for known in pair)) // 4
    assert (shown <= held).all() and (shown < held).sum() < 16


def test_once_each_shows_everybody_once_but_those_that_fill_no_batch():
    visible, _ = passes_plan(REGDB, REGDB, 8, 4, 0, 0, 25, once=True)
    shown, often = np.unique(REGDB[visible], return_counts=True)
    assert len(shown) == 200 and set(often) == {4}
    assert len(np.unique(visible)) == visible.size
    other, _ = passes_plan(REGDB, REGDB, 8, 4, 0, 1, 25, once=True)
    assert set(REGDB[other].ravel().tolist()) != set(shown.tolist())


def test_an_epoch_longer_than_a_pass_goes_on_with_another():
    once = passes_plan(REGDB, REGDB, 8, 4, 0, 0, 60, once=True)[0]
    assert once.shape == (60, 32)
    assert not np.array_equal(once[:25], once[25:50])
    np.testing.assert_array_equal(once[:30], passes_plan(REGDB, REGDB, 8, 4, 0, 0, 30, once=True)[0])


def test_draws_are_functions_of_seed_and_epoch():
    first = plan(seed=1, epoch=3)
    for own, again in zip(first, plan(seed=1, epoch=3), strict=True):
        np.testing.assert_array_equal(own, again)
    for other in (plan(seed=2, epoch=3), plan(seed=1, epoch=4)):
        assert not np.array_equal(first[0], other[0]) and not np.array_equal(first[1], other[1])


def test_this_plan_is_for_ever():
    visible, infrared = plan(seed=1, epoch=0, steps=3)
    assert visible.tolist() == [[14, 2, 4, 6], [5, 15, 7, 11], [8, 12, 0, 3]]
    assert infrared.tolist() == [[13, 11, 9, 5], [8, 12, 0, 0], [1, 2, 10, 3]]


@pytest.mark.parametrize(("people", "each"), [(5, 1), (0, 1), (1, 0)])
def test_sizes_that_cannot_be_filled_are_refused(people, each):
    with pytest.raises(ValueError, match="identities"):
        plan(people, each)
    with pytest.raises(ValueError, match="identities"):
        steps_in_identity_pass(VISIBLE, INFRARED, people, each, 0)
