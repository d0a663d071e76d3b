import numpy as np

from mmgl_tf.pipelines.augmentation.stripes import shuffle_stripes
from mmgl_tf.pipelines.batches.build import evaluation_dataset
from mmgl_tf.pipelines.decode import normalise
from tests.pipelines.fake_store import BATCH, HEIGHT, STRIPES, WIDTH, FakeStore, assert_same, stores


def evaluated(visible, infrared, repeats=2, seed=0, limit=0):
    dataset = evaluation_dataset(visible, infrared, STRIPES, BATCH, repeats, seed, limit)
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
