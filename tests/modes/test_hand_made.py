import numpy as np

from flags.definitions import WITHOUT_RUN
from modes.hand_made import HAND_MADE, describe
from pipelines.records import INFRARED, Sample


class FakeStore:
    def __init__(self, images):
        self.images = images
        self.usable = np.arange(len(images))

    def __getitem__(self, position):
        assert position in self.usable
        return self.images[position]


def test_the_flag_offers_what_there_is():
    assert set(WITHOUT_RUN) == set(HAND_MADE)


def test_descriptors_belong_to_their_people_and_skipped_images_are_left_out():
    dice = np.random.default_rng(0)
    images = dice.integers(0, 256, (6, 48, 24, 1), dtype=np.uint8)
    store = FakeStore(images)
    store.usable = np.array([0, 2, 3, 5])
    samples = [Sample(f"{n}.jpg", 10 + n, 3 if n % 2 else None, INFRARED) for n in range(6)]
    found = describe("pixels", store, samples)
    assert found.identities.tolist() == [10, 12, 13, 15]
    assert found.cameras.tolist() == [-1, -1, 3, 3]
    alone = describe("pixels", FakeStore(images[[0, 2, 3, 5]]), [samples[n] for n in (0, 2, 3, 5)])
    assert np.array_equal(found.features, alone.features)


def test_chance_knows_nothing_of_the_images_and_differs_between_query_and_gallery():
    def chance(value, number):
        images = np.full((number, 48, 24, 3), value, np.uint8)
        return describe("chance", FakeStore(images), [Sample("x", 1, 1, INFRARED)] * number).features

    assert np.array_equal(chance(0, 5), chance(9, 5))
    assert not np.allclose(chance(0, 5)[:4], chance(0, 4))
