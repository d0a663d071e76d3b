import dataclasses
from pathlib import Path

import pytest

from mmgl_tf.flags.config import Data, World
from mmgl_tf.modes.reading import data_fingerprint, identities_of, open_stores, require_identities
from mmgl_tf.pipelines.readers.sysu import read_sysu
from mmgl_tf.pipelines.records import INFRARED, VISIBLE, Split
from mmgl_tf.pipelines.synthetic import synthesize

WORLD = World(
    world_train_identities=4,
    world_validation_identities=2,
    world_test_identities=2,
    world_frames=2,
    world_infrared_train_frames=2,
    world_height=48,
)


@pytest.fixture(scope="module")
def splits(tmp_path_factory):
    root = tmp_path_factory.mktemp("tree") / "sysu"
    synthesize(WORLD, root)
    return read_sysu(root, train_ids="train")


@pytest.fixture
def data(tmp_path):
    return Data(image_height=48, image_width=24, cache_dir=str(tmp_path / "cache"))


def test_training_and_validation_are_opened_unless_others_are_named(splits, data):
    stores = open_stores(data, splits)
    assert list(stores) == [
        ("train", VISIBLE),
        ("train", INFRARED),
        ("validation", VISIBLE),
        ("validation", INFRARED),
    ]
    for (name, modality), store in stores.items():
        assert len(store) == len(getattr(splits, name).of_modality(modality)) > 0
        assert store[0].shape[:2] == (48, 24)
    held = dataclasses.replace(splits, validation=Split("validation"))
    assert list(open_stores(data, held)) == list(stores)[:2]


def test_query_and_gallery_have_a_store_for_what_they_show(splits, data):
    stores = open_stores(data, splits, names=("query", "gallery"))
    assert list(stores) == [("query", INFRARED), ("gallery", VISIBLE)]
    assert len(stores["query", INFRARED]) == len(splits.query)
    assert len(stores["gallery", VISIBLE]) == len(splits.gallery)
    without = dataclasses.replace(splits, gallery=Split("gallery"))
    assert list(open_stores(data, without, names=("gallery", "query", "query"))) == [("query", INFRARED)]


def test_training_and_validation_need_both_modalities(splits, data):
    one = dataclasses.replace(splits, train=Split("train", splits.train.of_modality(VISIBLE)))
    with pytest.raises(ValueError, match=r"0 infrared images were found for train; .*--mode=check_data"):
        open_stores(data, one)
    with pytest.raises(ValueError, match="0 visible and 0 infrared images were found for train"):
        open_stores(data, dataclasses.replace(splits, train=Split("train")))
    other = dataclasses.replace(
        splits, validation=Split("validation", splits.validation.of_modality(INFRARED))
    )
    with pytest.raises(ValueError, match=r"0 visible and .* for validation; .*--train_ids=trainval"):
        open_stores(data, other)
    assert not Path(data.cache_dir).exists()  # refused before anything was decoded
    assert len(open_stores(data, other, names=("train",))) == 2


def test_a_method_of_one_modality_does_without_the_other(splits, data):
    one = dataclasses.replace(splits, train=Split("train", splits.train.of_modality(VISIBLE)))
    with pytest.raises(ValueError, match="0 infrared images were found for train; infrared ones are needed"):
        open_stores(data, one, names=("train",), needed=(INFRARED,))
    assert list(open_stores(data, one, names=("train",), needed=(VISIBLE,))) == [("train", VISIBLE)]
    # What is there is opened: an unseen stem wants to see it.
    assert len(open_stores(data, splits, names=("train",), needed=(VISIBLE,))) == 2


def test_identities_of_one_modality(splits):
    visible, infrared = identities_of(splits.train, (VISIBLE,))
    assert infrared is None and len(visible) == len(splits.train.of_modality(VISIBLE))
    nobody = dataclasses.replace(splits.train.of_modality(INFRARED)[0], identity=None)
    mixed = Split("train", (*splits.train.of_modality(VISIBLE), nobody))
    require_identities(mixed, "--method=supervised", (VISIBLE,))
    with pytest.raises(ValueError, match="1 of 1 training images have no identity"):
        require_identities(mixed, "--method=supervised", (INFRARED,))


def test_an_unknown_split_is_refused(splits, data):
    with pytest.raises(ValueError, match=r"no splits \['test'\]; expected some of"):
        open_stores(data, splits, names=("train", "test"))


def test_unreadable_images_are_named_over_all_splits_or_skipped(splits, data, tmp_path):
    broken = tmp_path / "broken.jpg"
    broken.write_text("no image")

    def spoiled(split):
        first = dataclasses.replace(split.samples[0], path=str(broken))
        return dataclasses.replace(split, samples=(first, *split.samples[1:]))

    bad = dataclasses.replace(splits, query=spoiled(splits.query), gallery=spoiled(splits.gallery))
    number = len(splits.query) + len(splits.gallery)
    with pytest.raises(ValueError, match=f"2 of {number} images cannot be read"):
        open_stores(data, bad, names=("query", "gallery"))
    skipping = dataclasses.replace(data, on_bad_image="skip")
    stores = open_stores(skipping, bad, names=("query", "gallery"))
    assert [len(store.skipped) for store in stores.values()] == [1, 1]
    assert 0 not in stores["query", INFRARED].usable


def test_the_fingerprint_follows_what_is_trained_and_selected_on_alone(splits):
    first = data_fingerprint(splits)
    assert first == data_fingerprint(
        dataclasses.replace(splits, query=Split("query"), gallery=Split("gallery"))
    )
    for name in ("train", "validation"):
        split = getattr(splits, name)
        fewer = dataclasses.replace(split, samples=split.samples[1:])
        assert data_fingerprint(dataclasses.replace(splits, **{name: fewer})) != first
