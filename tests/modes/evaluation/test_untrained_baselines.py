import numpy as np
import pytest

from mmgl_tf.flags.reading import WITHOUT_RUN
from mmgl_tf.modes.evaluation import untrained_baselines
from mmgl_tf.modes.evaluation.untrained_baselines import UNTRAINED_BASELINES, describe
from mmgl_tf.pipelines.records import INFRARED, VISIBLE, Sample


class FakeStore:
    def __init__(self, images):
        self.images = images
        self.usable = np.arange(len(images))

    def __getitem__(self, position):
        assert position in self.usable
        return self.images[position]


def test_the_flag_offers_what_there_is():
    assert set(WITHOUT_RUN) == set(UNTRAINED_BASELINES)


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


def described(name, images, modality=INFRARED):
    samples = [Sample(f"{n}.jpg", n, 1, modality) for n in range(len(images))]
    return describe(name, FakeStore(images), samples).features


def test_chance_knows_nothing_of_the_images_and_differs_between_query_and_gallery():
    """Also where both have equally many images, as in RegDB: equal vectors would find everybody."""
    first, other = (np.full((5, 48, 24, 3), value, np.uint8) for value in (0, 9))
    assert np.array_equal(described("chance", first), described("chance", other))
    infrared, visible = (described("chance", first, modality) for modality in (INFRARED, VISIBLE))
    similarity = infrared @ visible.T
    assert infrared.shape == visible.shape and np.diag(similarity).max() < 0.9
    assert not np.allclose(infrared[:4], described("chance", first[:4], VISIBLE), atol=0.1)


@pytest.mark.parametrize("name", [name for name, function in UNTRAINED_BASELINES.items() if function])
@pytest.mark.parametrize("number", [6, 7])
def test_images_described_in_chunks_are_described_as_at_once(monkeypatch, name, number):
    dice = np.random.default_rng(1)
    images = dice.integers(0, 256, (number, 96, 48, 3), dtype=np.uint8)
    whole = described(name, images)
    monkeypatch.setattr(untrained_baselines, "CHUNK", 3)
    np.testing.assert_allclose(described(name, images), whole, rtol=1e-6, atol=1e-7)
    assert len(np.unique(whole, axis=0)) == number
