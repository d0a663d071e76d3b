import numpy as np
import pytest

from mmgl_tf.pipelines.batches.sampling import evenly_spread, pretraining_plan, steps_in_epoch


def test_sysu_has_the_published_steps():
    assert steps_in_epoch(22258, 11909, 48) == 463
    assert steps_in_epoch(22258, 11909, 48, "min") == 248


def test_an_epoch_shows_the_larger_modality_once_and_cycles_the_smaller():
    visible, infrared = pretraining_plan(103, 40, 10, seed=1, epoch=0)
    assert visible.shape == infrared.shape == (10, 10)
    assert len(np.unique(visible)) == 100
    # 100 draws from 40: two full passes and half a third.
    flat = infrared.reshape(-1)
    assert np.array_equal(np.sort(flat[:40]), np.arange(40))
    assert np.array_equal(np.sort(flat[40:80]), np.arange(40))
    assert not np.array_equal(flat[:40], flat[40:80])
    assert len(np.unique(flat[80:])) == 20


def test_by_the_smaller_modality():
    visible, infrared = pretraining_plan(103, 40, 10, seed=1, epoch=0, epoch_by="min")
    assert visible.shape == (4, 10)
    assert len(np.unique(infrared)) == 40


def test_an_epoch_longer_than_a_pass_cycles_both():
    visible, infrared = pretraining_plan(20, 10, 5, seed=1, epoch=0, steps_per_epoch=9)
    assert visible.shape == (9, 5)
    counts = np.bincount(visible.reshape(-1), minlength=20)
    assert counts.min() == 2 and counts.max() == 3
    counts = np.bincount(infrared.reshape(-1), minlength=10)
    assert counts.min() == 4 and counts.max() == 5


def test_an_epoch_shorter_than_a_pass_keeps_the_order():
    short, _ = pretraining_plan(100, 100, 10, seed=1, epoch=4, steps_per_epoch=3)
    full, _ = pretraining_plan(100, 100, 10, seed=1, epoch=4)
    np.testing.assert_array_equal(short, full[:3])


def test_plans_differ_by_epoch_seed_and_modality_and_nothing_else():
    visible, infrared = pretraining_plan(60, 60, 10, seed=1, epoch=0)
    again, _ = pretraining_plan(60, 60, 10, seed=1, epoch=0)
    np.testing.assert_array_equal(visible, again)
    assert (visible != infrared).mean() > 0.9
    assert (visible != pretraining_plan(60, 60, 10, seed=1, epoch=1)[0]).mean() > 0.9
    assert (visible != pretraining_plan(60, 60, 10, seed=2, epoch=0)[0]).mean() > 0.9


@pytest.mark.parametrize(("visible", "infrared", "named"), [(47, 100, "visible"), (100, 3, "infrared")])
def test_a_batch_larger_than_the_data_is_refused(visible, infrared, named):
    with pytest.raises(ValueError, match=f"48 {named} images, but there are only {min(visible, infrared)}"):
        pretraining_plan(visible, infrared, 48, seed=0, epoch=0)


def test_bad_settings_are_refused():
    with pytest.raises(ValueError, match="epoch_by is 'mean'"):
        pretraining_plan(9, 9, 3, seed=0, epoch=0, epoch_by="mean")
    with pytest.raises(ValueError, match="steps_per_epoch is -1"):
        pretraining_plan(9, 9, 3, seed=0, epoch=0, steps_per_epoch=-1)


def test_a_subset_is_spread_evenly():
    assert evenly_spread(10, 5).tolist() == [0, 2, 4, 6, 8]
    assert evenly_spread(10, 4).tolist() == [0, 2, 5, 7]
    for limit in (0, 10, 11):
        assert evenly_spread(10, limit).tolist() == list(range(10))
