import hashlib
import subprocess
import sys
import time

import numpy as np
import pytest

from mmgl_tf.flags.config import options_type
from mmgl_tf.pipelines.augmentation.stripes import unshuffle_stripes
from mmgl_tf.pipelines.batches.build import held_out_dataset, training_dataset
from mmgl_tf.pipelines.batches.data_wait import DataWait
from mmgl_tf.pipelines.batches.plans import image_plan
from mmgl_tf.pipelines.batches.recipe import mmgl_held_out, mmgl_recipe
from mmgl_tf.pipelines.batches.sampling import pretraining_plan
from mmgl_tf.pipelines.batches.training_batches import TrainingBatches
from mmgl_tf.pipelines.decode import normalise
from tests.pipelines.fake_store import BATCH, HEIGHT, STRIPES, WIDTH, FakeStore, assert_same, stores

Augmentation = options_type("mmgl")

PLAIN = {
    "pad_pixels": 0,
    "flip_probability": 0.0,
    "augmix_modalities": "none",
    "erase_modalities": "none",
}


def batches(seed=0, pair=None, batch_size=BATCH, stripes=STRIPES, settings=None, **plan):
    """step -> (visible, infrared, permutation)."""
    pair = pair or stores()
    recipe = mmgl_recipe(Augmentation(**settings or {}), stripes)
    made = TrainingBatches(pair, recipe, image_plan(pair, batch_size, seed, **plan), 1)
    return lambda step: tuple(made(step)[name] for name in ("visible", "infrared", "permutation"))


def timed(first, total, threads=1, pair=None, wait=None, settings=None):
    pair = pair or stores()
    recipe = mmgl_recipe(Augmentation(**settings or {}), STRIPES)
    return training_dataset(pair, recipe, image_plan(pair, BATCH, 0), first, total, threads, wait)


def elements(*arguments, **settings):
    dataset = timed(*arguments, **settings)
    return [{key: value.numpy() for key, value in batch.items()} for batch in dataset]


def test_shapes_types_and_length_are_static():
    dataset = timed(3, 10)
    spec = dataset.element_spec
    assert spec["visible"].shape == spec["infrared"].shape == (BATCH, HEIGHT, WIDTH, 3)
    assert spec["permutation"].shape == (2 * BATCH, STRIPES)
    assert (spec["visible"].dtype.name, spec["permutation"].dtype.name) == ("float32", "int32")
    assert dataset.cardinality() == 7


@pytest.mark.parametrize("threads", [2, 4])
def test_batches_do_not_depend_on_the_number_of_threads(threads):
    assert_same(elements(0, 8), elements(0, 8, threads))


def test_a_resumed_run_gets_the_same_batches_across_epochs():
    whole = elements(0, 13)  # 5 steps per epoch
    assert_same(elements(4, 13, threads=2), whole[4:])
    assert_same(elements(11, 13), whole[11:])
    assert elements(13, 13) == []


def test_batches_do_not_depend_on_the_order_they_are_made_in():
    forward, backward = batches(), batches()
    ahead = [forward(step) for step in range(11)]
    back = [backward(step) for step in reversed(range(11))][::-1]
    for one, other in zip(ahead, back, strict=True):
        for first, second in zip(one, other, strict=True):
            np.testing.assert_array_equal(first, second)


_FINGERPRINT = """
import hashlib, sys
sys.path.insert(0, "tests/pipelines")
from tests.pipelines.batches.test_build import batches
digest = hashlib.sha256()
for step in (0, 7):
    for part in batches()(step):
        digest.update(part)
print(digest.hexdigest())
"""


@pytest.mark.slow
def test_batches_are_the_same_in_another_process():
    run = subprocess.run([sys.executable, "-c", _FINGERPRINT], capture_output=True, text=True, check=True)
    digest = hashlib.sha256()
    for step in (0, 7):
        for part in batches()(step):
            digest.update(part)
    assert run.stdout.split()[-1] == digest.hexdigest()


def test_another_seed_or_epoch_gives_other_batches():
    for changed in (batches(seed=1)(0), batches()(5)):
        for one, other in zip(batches()(0), changed, strict=True):
            assert not np.array_equal(one, other)


def test_without_augmentation_images_are_normalised_and_shuffled_as_planned():
    visible_store, infrared_store = stores()
    made = batches(pair=(visible_store, infrared_store), settings=PLAIN)
    for step in (0, 6):
        visible, infrared, permutation = made(step)
        plan = pretraining_plan(22, 9, BATCH, 0, step // 5)
        for images, store, indices, order in (
            (visible, visible_store, plan[0][step % 5], permutation[:BATCH]),
            (infrared, infrared_store, plan[1][step % 5], permutation[BATCH:]),
        ):
            original = np.broadcast_to(store.images[indices], images.shape)
            np.testing.assert_array_equal(unshuffle_stripes(images, order), normalise(original).numpy())


def test_a_pair_shares_its_order_unless_told_not_to():
    _, _, permutation = batches()(2)
    np.testing.assert_array_equal(permutation[:BATCH], permutation[BATCH:])
    _, _, apart = batches(settings={"share_permutation": False})(2)
    np.testing.assert_array_equal(apart[:BATCH], permutation[:BATCH])
    assert not (apart[:BATCH] == apart[BATCH:]).all(axis=1).any()
    assert (np.sort(apart, axis=1) == np.arange(STRIPES)).all()


def test_crops_and_flips_differ_within_a_pair():
    same = FakeStore(40, height=96), FakeStore(40, height=96)
    settings = {"augmix_modalities": "none", "erase_modalities": "none"}
    made = batches(pair=same, batch_size=40, settings=settings)
    visible, infrared, permutation = made(0)
    columns, flips = [], []
    for images, order in ((visible, permutation[:40]), (infrared, permutation[40:])):
        images = unshuffle_stripes(images, order)
        black = (images == images.min(axis=(0, 1, 2))).all(axis=(1, 3))
        columns.append(black.sum(axis=1))
        flips.append(black[:, 0])
    assert (columns[0] != columns[1]).mean() > 0.5
    assert 0.2 < (flips[0] != flips[1]).mean() < 0.8


def test_shuffling_comes_last():
    """With equal draws otherwise, one order of stripes or another differ in their order only."""
    one, two = batches()(1), batches(stripes=3)(1)
    for modality, rows in ((0, slice(0, BATCH)), (1, slice(BATCH, None))):
        np.testing.assert_array_equal(
            unshuffle_stripes(one[modality], one[2][rows]), unshuffle_stripes(two[modality], two[2][rows])
        )


def test_erasing_fills_with_the_mean_and_each_modality_can_be_left_out():
    for modality, name in enumerate(("visible", "infrared")):
        settings = {"erase_probability": 1.0, "erase_modalities": name, "augmix_modalities": "none"}
        parts = batches(settings=settings)(0)
        assert all((image == 0).all(axis=-1).mean() > 0.015 for image in parts[modality])
        assert not (parts[1 - modality] == 0).all(axis=-1).any()


def test_augmix_acts_on_the_modalities_named_and_moves_no_other_draw():
    without = batches(settings={"augmix_modalities": "none"})(0)
    for modality, name in enumerate(("visible", "infrared")):
        parts = batches(settings={"augmix_modalities": name})(0)
        assert not np.array_equal(parts[modality], without[modality])
        np.testing.assert_array_equal(parts[1 - modality], without[1 - modality])
        np.testing.assert_array_equal(parts[modality] == 0, without[modality] == 0)


def test_images_that_occur_twice_are_augmented_apart():
    same = FakeStore(BATCH)
    same.images[:] = same.images[0]
    made = batches(pair=(same, same), steps_per_epoch=2)
    parts = [made(step) for step in (0, 1)]
    assert not (parts[0][2] == parts[1][2]).all(axis=1).any()
    images = [image for part in parts for image in unshuffle_stripes(np.concatenate(part[:2]), part[2])]
    for place, one in enumerate(images):
        assert all(abs(one - other).max() > 0.1 for other in images[:place])


def test_grey_and_colour_copies_of_an_image_come_out_alike():
    grey = FakeStore(8, channels=1)
    colour = FakeStore(8)
    colour.images = np.repeat(grey.images, 3, axis=3)
    one, two = batches(pair=(grey, colour))(0), batches(pair=(colour, grey))(0)
    np.testing.assert_array_equal(one[0], two[0])
    np.testing.assert_array_equal(one[1], two[1])


def test_unusable_images_are_never_read():
    bad = FakeStore(22, usable=[index for index in range(22) if index not in (0, 7, 21)])
    pair = bad, FakeStore(9)
    assert image_plan(pair, BATCH, 0).steps_per_epoch == 4
    made = batches(pair=pair, settings=PLAIN)
    for step in range(8):
        made(step)  # FakeStore refuses


def test_a_failing_image_stops_the_dataset_with_its_message():
    class Broken(FakeStore):
        broken = False

        def __getitem__(self, index):
            if self.broken:
                raise ValueError("cam1/0001/0001.jpg is truncated")
            return super().__getitem__(index)

    store = Broken(22)
    dataset = timed(0, 3, 2, (store, FakeStore(9)))
    store.broken = True
    with pytest.raises(Exception, match=r"cam1/0001/0001.jpg is truncated"):
        next(iter(dataset))


def test_bad_settings_are_refused():
    with pytest.raises(ValueError, match="5 stripes do not divide an image of 48 rows"):
        batches(stripes=5)
    with pytest.raises(ValueError, match="10 infrared images, but there are only 9"):
        batches(batch_size=10)
    with pytest.raises(ValueError, match=r"--erase_min_area=0\.5 is above"):
        batches(settings={"erase_min_area": 0.5})
    with pytest.raises(ValueError, match=r"\(96, 24\), infrared ones \(48, 24\)"):
        batches(pair=(FakeStore(9, height=96), FakeStore(9)))
    with pytest.raises(ValueError, match="start at step 9 of 8"):
        elements(9, 8)
    with pytest.raises(ValueError, match="Neither modality"):
        held_out_dataset((FakeStore(0), FakeStore(0)), mmgl_held_out(STRIPES, 1), BATCH, 0)


def test_by_the_smaller_modality_and_fixed_lengths():
    for arguments, steps in (({}, 5), ({"epoch_by": "min"}, 2), ({"steps_per_epoch": 7}, 7)):
        assert image_plan(stores(), BATCH, 0, **arguments).steps_per_epoch == steps


def test_waiting_is_measured_from_request_to_arrival():
    class Slow(FakeStore):
        def __getitem__(self, index):
            time.sleep(0.01)
            return super().__getitem__(index)

    wait = DataWait()
    dataset = timed(0, 8, pair=(Slow(22), FakeStore(9)), wait=wait, settings=PLAIN)
    np.testing.assert_array_equal(next(iter(dataset))["permutation"], elements(0, 1)[0]["permutation"])
    assert wait.batches == 0 and wait.seconds == 0.0  # nobody asked
    iterator = iter(dataset)
    wait.requested()
    next(iterator)
    assert wait.batches == 1 and wait.seconds > 0.04  # four sleeps at least
    wait.requested()
    before = wait.seconds
    time.sleep(0.05)  # the batch is ready behind the stage by now, but has not arrived
    assert wait.batches == 1
    next(iterator)
    assert wait.batches == 2 and wait.seconds - before > 0.05
