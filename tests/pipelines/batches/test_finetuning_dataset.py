import time

import numpy as np
import pytest

from mmgl_tf.flags.config import options_type
from mmgl_tf.pipelines.batches.build import training_dataset
from mmgl_tf.pipelines.batches.data_wait import DataWait
from mmgl_tf.pipelines.batches.identity_passes import passes_plan, steps_in_identity_pass
from mmgl_tf.pipelines.batches.identity_sampling import identity_plan
from mmgl_tf.pipelines.batches.plans import people_plan
from mmgl_tf.pipelines.batches.recipe import Recipe, Sampler, finetuning_recipe
from mmgl_tf.pipelines.decode import normalise
from tests.pipelines.fake_store import HEIGHT, WIDTH, FakeStore, assert_same

Augmentation = options_type("mmgl")

OFF = {"augmix_modalities": "none", "erase_modalities": "none"}
PLAIN = Augmentation(pad_pixels=0, flip_probability=0.0, **OFF)
CROPS = Augmentation(**OFF)
# Classes 0 to 5 in ascending order; 40 has no infrared images, 50 no visible ones.
VISIBLE = np.array([30, 10, 20, 30, 40, 10, 60, 60, 20, 20, 40])
INFRARED = np.array([10, 20, 60, 50, 30, 60, 10])
CLASSES = np.array([10, 20, 30, 40, 50, 60])


def stores():
    return FakeStore(len(VISIBLE)), FakeStore(len(INFRARED), channels=1, seed=1)


def labelled(
    first=0, total=6, augmentation=PLAIN, pair=None, seed=0, steps_per_epoch=0, wait=None, threads=1
):
    pair = pair or stores()
    plan = people_plan(pair, (VISIBLE, INFRARED), 3, 2, seed, steps_per_epoch)
    return training_dataset(pair, finetuning_recipe(augmentation), plan, first, total, threads, wait)


def elements(first=0, total=6, *arguments, **settings):
    dataset = labelled(first, total, *arguments, **settings)
    made = [{key: value.numpy() for key, value in batch.items()} for batch in dataset]
    assert len(made) == dataset.cardinality() == total - first
    return made


def expected(store, indices):
    return normalise(np.broadcast_to(store.images[indices], (len(indices), HEIGHT, WIDTH, 3))).numpy()


def test_images_and_classes_are_those_of_the_plan():
    pair = stores()
    made = elements(pair=pair, seed=5)  # floor(11 / 6) + 1 = 2 steps per epoch
    for step, batch in enumerate(made):
        epoch, place = divmod(step, 2)
        visible, infrared, labels = (
            part[place] for part in identity_plan(VISIBLE, INFRARED, 3, 2, 5, epoch, 2)
        )
        np.testing.assert_array_equal(batch["visible"], expected(pair[0], visible))
        np.testing.assert_array_equal(batch["infrared"], expected(pair[1], infrared))
        assert batch["labels"].dtype == np.int32
        np.testing.assert_array_equal(CLASSES[batch["labels"]], np.tile(labels, 2))
    seen = np.unique([batch["labels"] for batch in elements(0, 40)])
    assert seen.tolist() == [0, 1, 2, 5]


def test_shapes_are_static_with_and_without_a_wait():
    for wait in (None, DataWait()):
        dataset = labelled(1, 4, CROPS, wait=wait)
        assert set(dataset.element_spec) == {"visible", "infrared", "labels"}
        for name in ("visible", "infrared"):
            assert dataset.element_spec[name].shape == (6, HEIGHT, WIDTH, 3)
        assert dataset.element_spec["labels"].shape == (12,)
        assert dataset.element_spec["labels"].dtype == np.int32


def test_resumed_runs_and_threads_get_the_same_batches():
    whole = elements(0, 9, CROPS)
    assert_same(elements(3, 9, CROPS), whole[3:])
    assert_same(elements(0, 9, CROPS, threads=3), whole)
    assert_same(elements(0, 9, CROPS, wait=DataWait()), whole)
    for changed in (elements(0, 1, CROPS, seed=1), elements(2, 3, CROPS)):
        assert not np.array_equal(changed[0]["visible"], whole[0]["visible"])


def test_the_length_of_an_epoch_can_be_given():
    np.testing.assert_array_equal(
        np.stack([batch["labels"] for batch in elements(0, 8, steps_per_epoch=8)])[:, :6],
        np.searchsorted(CLASSES, identity_plan(VISIBLE, INFRARED, 3, 2, 0, 0, 8)[2]),
    )


def test_crops_and_flips_act_and_spare_the_rest():
    alike = FakeStore(len(VISIBLE)), FakeStore(len(INFRARED))
    for store in alike:
        store.images[:] = store.images[0]
        store.images |= 1  # no black pixel of its own
    crops = Augmentation(pad_pixels=4, **OFF)
    batch, other = (elements(0, 1, crops, alike, seed)[0] for seed in (0, 1))
    assert not np.array_equal(batch["visible"], other["visible"])
    black = normalise(np.zeros(3, np.uint8)).numpy()
    images = np.concatenate([batch["visible"], batch["infrared"]])
    assert len(np.unique(images.reshape(12, -1), axis=0)) > 8  # duplicates are augmented apart
    share = (images == black).all(axis=-1).mean(axis=(1, 2))
    assert 0 < share.max() <= 1 - (1 - 4 / HEIGHT) * (1 - 4 / WIDTH) + 1e-9
    original = expected(alike[0], [0])[0]
    flips = elements(0, 1, Augmentation(pad_pixels=0, flip_probability=1.0, **OFF), alike)[0]
    np.testing.assert_array_equal(flips["infrared"][0], original[:, ::-1])


def test_augmix_and_erasing_are_off_only_by_their_settings():
    plain = elements(0, 1)[0]
    erasing = Augmentation(pad_pixels=0, flip_probability=0, augmix_modalities="none", erase_probability=1)
    mixing = Augmentation(pad_pixels=0, flip_probability=0, erase_modalities="none")
    for changed in (elements(0, 1, erasing)[0], elements(0, 1, mixing)[0]):
        assert (changed["visible"] != plain["visible"]).any(axis=(1, 2, 3)).all()
        np.testing.assert_array_equal(changed["labels"], plain["labels"])


def test_skipped_images_are_never_drawn_and_move_no_class():
    # All visible images of identity 10 and one of 60 are gone.
    usable = [index for index in range(len(VISIBLE)) if index not in (1, 5, 6)]
    pair = FakeStore(len(VISIBLE), usable=usable), stores()[1]  # FakeStore refuses others
    made = elements(0, 20, pair=pair)
    assert np.unique([batch["labels"] for batch in made]).tolist() == [1, 2, 5]
    for batch in made:
        for image, label in zip(batch["visible"], batch["labels"], strict=False):
            of_class = [index for index in usable if VISIBLE[index] == CLASSES[label]]
            assert any((image == one).all() for one in expected(pair[0], of_class))


@pytest.mark.parametrize(("sampler", "once"), [(Sampler.TO_EXHAUSTION, False), (Sampler.ONCE_EACH, True)])
def test_a_recipe_may_ask_for_another_sampler(sampler, once):
    recipe = finetuning_recipe(PLAIN, sampler)
    assert Recipe(recipe.views).sampler is Sampler.WITH_REPLACEMENT
    plan = people_plan(stores(), (VISIBLE, INFRARED), 2, 1, 7, 0, recipe.sampler)
    assert plan.steps_per_epoch == steps_in_identity_pass(VISIBLE, INFRARED, 2, 1, 7, once)
    longer = people_plan(stores(), (VISIBLE, INFRARED), 2, 1, 7, 9, recipe.sampler)
    for own, given in zip(longer.epoch(4), passes_plan(VISIBLE, INFRARED, 2, 1, 7, 4, 9, once), strict=True):
        np.testing.assert_array_equal(own, given)


def test_bad_requests_are_refused_at_once():
    pair = stores()

    def make(visible=VISIBLE, infrared=INFRARED, identities=3, first=0, total=1):
        plan = people_plan(pair, (visible, infrared), identities, 2, 0)
        return training_dataset(pair, finetuning_recipe(PLAIN), plan, first, total)

    with pytest.raises(ValueError, match="needs 5 identities"):
        make(identities=5)
    with pytest.raises(ValueError, match="10 identities were given for 11 visible images"):
        make(visible=VISIBLE[:10])
    with pytest.raises(ValueError, match="8 identities were given for 7 infrared images"):
        make(infrared=[*INFRARED, 3])
    with pytest.raises(ValueError, match="without identity"):
        make(infrared=[None, *INFRARED[1:]])
    with pytest.raises(ValueError, match="steps_per_epoch is -1; expected at least 1"):
        elements(0, 1, steps_per_epoch=-1)
    with pytest.raises(ValueError, match="start at step 3 of 2"):
        make(first=3, total=2)


def test_waiting_is_measured():
    class Slow(FakeStore):
        def __getitem__(self, index):
            time.sleep(0.01)
            return super().__getitem__(index)

    wait = DataWait()
    iterator = iter(labelled(0, 4, pair=(Slow(len(VISIBLE)), stores()[1]), wait=wait))
    wait.requested()
    next(iterator)
    assert wait.batches == 1 and wait.seconds > 0.05  # six sleeps
