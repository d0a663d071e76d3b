import numpy as np
import pytest

from mmgl_tf.pipelines.augmentation.operations.pad_crop_flip import PadCropFlip
from mmgl_tf.pipelines.augmentation.stripes import shuffle_stripes
from mmgl_tf.pipelines.batches.build import held_out_dataset
from mmgl_tf.pipelines.batches.recipe import HeldOut, Labels, Recipe, each_modality, mmgl_held_out
from mmgl_tf.pipelines.batches.shards import Shards
from mmgl_tf.pipelines.decode import normalise
from mmgl_tf.pipelines.records import INFRARED
from tests.pipelines.fake_store import BATCH, HEIGHT, STRIPES, WIDTH, FakeStore, assert_same, stores


def evaluated(visible, infrared, repeats=2, seed=0, limit=0):
    dataset = held_out_dataset((visible, infrared), mmgl_held_out(STRIPES, repeats), BATCH, seed, limit)
    made = [{key: value.numpy() for key, value in batch.items()} for batch in dataset]
    assert len(made) == dataset.cardinality()
    return made


def test_evaluation_shows_every_image_under_each_of_its_orders():
    visible, infrared = FakeStore(7, usable=[0, 1, 2, 4, 6]), FakeStore(2, channels=1, seed=1)
    made = evaluated(visible, infrared)
    assert len(made) == 3  # 10 and 4 entries in batches of 4
    for half, store in ((slice(0, BATCH), visible), (slice(BATCH, None), infrared)):
        weight = np.concatenate([batch["weight"][half] for batch in made])
        index = np.concatenate([batch["index"][half] for batch in made])
        order = np.concatenate([batch["permutation"][half] for batch in made])
        images = np.concatenate([batch["visible" if half.start == 0 else "infrared"] for batch in made])
        number = 2 * len(store.usable)
        np.testing.assert_array_equal(weight, np.arange(12) < number)
        np.testing.assert_array_equal(index[:number], np.repeat(store.usable, 2))
        assert (index[number:] == -1).all() and not images[number:].any()
        assert (np.sort(order, axis=1) == np.arange(STRIPES)).all()
        assert not (order[0:number:2] == order[1:number:2]).all(axis=1).any()
        original = np.broadcast_to(store.images[index[:number]], (number, HEIGHT, WIDTH, 3))
        expected = shuffle_stripes(normalise(original).numpy(), order[:number])
        np.testing.assert_array_equal(images[:number], expected)


def test_evaluation_is_the_same_every_time_and_follows_the_seed():
    assert_same(evaluated(*stores()), evaluated(*stores()))
    one, other = evaluated(*stores())[0], evaluated(*stores(), seed=1)[0]
    assert not np.array_equal(one["permutation"], other["permutation"])


def test_an_images_orders_do_not_depend_on_the_others():
    def by_index(made):
        found = {}
        for batch in made:
            for index, order in zip(batch["index"][:BATCH], batch["permutation"], strict=False):
                found.setdefault(int(index), []).append(order.tolist())
        found.pop(-1, None)
        return found

    whole, part = by_index(evaluated(*stores())), by_index(evaluated(*stores(), limit=5))
    assert sorted(part) == [0, 4, 8, 13, 17]
    assert all(whole[index] == part[index] for index in part)
    assert len({str(orders) for orders in whole.values()}) > 15


def test_one_modality_alone_can_be_evaluated():
    made = evaluated(FakeStore(3), FakeStore(0), repeats=1)
    assert made[0]["weight"].tolist() == [1, 1, 1, 0, 0, 0, 0, 0]


TWO_VIEWS = Recipe(each_modality([[(PadCropFlip(6, 0.5),)] * 2] * 2))


def held_out(pair, batch=BATCH, seed=0, repeats=1, limit=0, **arguments):
    dataset = held_out_dataset(pair, HeldOut(TWO_VIEWS, repeats, True), batch, seed, limit, **arguments)
    return [{key: value.numpy() for key, value in batch.items()} for batch in dataset]


def test_whole_batches_are_full_and_mix_neighbours_in_a_fixed_order():
    made = held_out(stores())
    assert len(made) == 5  # 22 visible images in fours; two are left
    assert_same(made, held_out(stores()))
    index = np.stack([batch["index"].reshape(2, BATCH) for batch in made])
    assert (np.stack([batch["weight"] for batch in made]) == 1).all()
    visible, infrared = index[:, 0].ravel(), index[:, 1].ravel()
    assert len(set(visible)) == 20 and set(infrared) == set(range(9))
    assert all(len(set(row)) == BATCH for row in index.reshape(-1, BATCH))
    assert abs(np.diff(visible)).mean() > 4  # in order it would be 1
    assert not np.array_equal(
        visible, np.stack([b["index"] for b in held_out(stores(), seed=1)])[:, :4].ravel()
    )


def test_a_modality_with_few_images_makes_the_batches_smaller():
    pair = FakeStore(22), FakeStore(3, channels=1)
    made = held_out(pair)
    assert len(made) == 7 and made[0]["visible"].shape[0] == made[0]["infrared_2"].shape[0] == 3
    made = held_out(pair, shards=Shards(0, 2, 2))  # a multiple of two: batches of 2, in parts of 1
    assert len(made) == 22 and made[0]["visible"].shape[0] == 1
    with pytest.raises(ValueError, match=r"\[22, 0\] held-out images .* cannot fill a batch"):
        held_out((FakeStore(22), FakeStore(0)))


def test_draws_follow_the_image_wherever_it_stands_and_differ_by_view_and_repeat():
    def by_index(made):
        found = {}
        for batch in made:
            for row, index in enumerate(batch["index"][:BATCH].tolist()):
                found.setdefault(index, []).append((batch["visible"][row], batch["visible_2"][row]))
        return found

    whole, part = by_index(held_out(stores(), repeats=2)), by_index(held_out(stores(), limit=11))
    assert sum(map(len, whole.values())) == 44
    assert any(len(shown) == 2 and (shown[0][0] != shown[1][0]).any() for shown in whole.values())
    assert any((first != second).any() for ((first, second), *_) in whole.values())
    for index, ((first, second), *_) in part.items():
        np.testing.assert_array_equal(first, whole[index][0][0])
        np.testing.assert_array_equal(second, whole[index][0][1])


def test_labels_of_held_out_images_follow_the_images_and_take_classes():
    recipe = Recipe(TWO_VIEWS.views, (Labels(),))
    with pytest.raises(ValueError, match="nobody says who is on them"):
        held_out_dataset(stores(), HeldOut(recipe), BATCH, 0)
    classes = np.arange(22) + 100, np.arange(9) + 200
    made = list(held_out_dataset(stores(), HeldOut(recipe), BATCH, 0, classes=classes))
    index = np.concatenate([batch["index"].numpy().reshape(2, BATCH) for batch in made], axis=1)
    labels = np.concatenate([batch["labels"].numpy().reshape(2, BATCH) for batch in made], axis=1)
    expected = np.where(index < 0, -1, index + np.array([[100], [200]]))
    np.testing.assert_array_equal(labels, expected)
    assert (index == -1).any()


def test_a_modality_that_is_not_shown_needs_no_store_and_no_classes():
    views = tuple(view for view in TWO_VIEWS.views if view.modality == INFRARED)
    held = HeldOut(Recipe(views, (Labels(),)), whole_batches=True)
    (batch, *_) = held_out_dataset((None, FakeStore(9)), held, BATCH, 0, classes=(None, np.arange(9)))
    assert set(batch) == {"infrared", "infrared_2", "labels", "weight", "index"}
    np.testing.assert_array_equal(batch["labels"], batch["index"])
