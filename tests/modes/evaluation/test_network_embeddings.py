"""Which image is at which place, and whose weights a picture shows."""

import dataclasses
import shutil

import numpy as np
import pytest

from mmgl_tf.modes.evaluation.network_embeddings import (
    EvaluationImages,
    embed_images,
    embeddings_before_training,
    embeddings_of_run,
)
from mmgl_tf.modes.model import build_embedder
from mmgl_tf.modes.reading import open_stores
from mmgl_tf.modes.saved_run import run_settings
from mmgl_tf.pipelines.readers.regdb import PROTOCOL as REGDB
from mmgl_tf.pipelines.readers.sysu import PROTOCOL as SYSU
from mmgl_tf.pipelines.records import INFRARED, MODALITIES, VISIBLE
from tests.modes.labelled_files import recognise, write_people
from tests.modes.plain_embedder import PlainEmbedder
from tests.modes.small_run import settings, write_run

# An early file of each modality: whatever counts files instead of usable images is off by one from there.
BROKEN = ((3, 1, 1), (8, 4, 0), (5, 3, 0))


def opened(root, **changes):
    config = settings(on_bad_image="skip", cache=False, cache_dir=str(root / "cache"), batch_size=5)
    splits = write_people(root / "people", **changes)
    stores = open_stores(config.data, splits, ("query", "gallery"))
    return config, splits, EvaluationImages.of(splits, stores)


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    """(configuration, splits, EvaluationImages) with unreadable files."""
    return opened(tmp_path_factory.mktemp("looks"), broken=BROKEN)


def same(first, second):
    return all(np.array_equal(a, b) for a, b in zip(first.weights, second.weights, strict=True))


def test_each_image_is_the_one_of_its_sample_without_the_unreadable_ones(people):
    _, splits, images = people
    known = recognise(splits)
    assert len(known) == 48 - 3
    assert {modality: len(found) for modality, found in images.samples.items()} == {VISIBLE: 30, INFRARED: 15}
    for modality, samples in images.samples.items():
        for index, sample in enumerate(samples):
            pixels = images.pixels(modality, index)
            assert pixels.shape == (96, 48, 3) and pixels.dtype == np.uint8
            assert known[pixels.tobytes()] == sample and sample.modality == modality


@pytest.mark.parametrize(("protocol", "query"), [(SYSU, INFRARED), (REGDB, VISIBLE)])
def test_the_protocol_says_which_modality_searches(tmp_path, protocol, query):
    _, splits, images = opened(tmp_path, protocol=protocol)
    assert (images.query, images.gallery) == (query, 1 - query)
    assert images.samples[query] == splits.query.samples
    assert images.samples[1 - query] == splits.gallery.samples
    assert images.name == f"Test people of {protocol.name} (people)"
    again = EvaluationImages.of(
        dataclasses.replace(splits, root=f"/data/{protocol.name}"), stores_of(images, splits)
    )
    assert again.name == f"Test people of {protocol.name}"


def stores_of(images, splits):
    return {
        (split.name, split.samples[0].modality): images.stores[split.samples[0].modality]
        for split in (splits.query, splits.gallery)
    }


@pytest.mark.parametrize("feature", ["pool", "neck"])
def test_embeddings_stand_in_the_order_of_the_images(people, feature):
    config, _, images = people
    embedder = PlainEmbedder()
    found = embed_images("run", embedder, feature, "last", images, config)
    assert (found.name, found.feature, found.weights) == ("run", feature, "last")
    for modality, side in found.found.items():
        for index, sample in enumerate(images.samples[modality]):
            expected = embedder.by_hand(images.pixels(modality, index), MODALITIES[modality], feature)
            np.testing.assert_allclose(side.features[index], expected, atol=1e-5)
            assert (side.identities[index], side.cameras[index]) == (sample.identity, sample.camera)


def test_flipping_reaches_the_embeddings(people):
    config, _, images = people
    flipping = dataclasses.replace(config, evaluation=dataclasses.replace(config.evaluation, flip=True))
    found = embed_images("run", PlainEmbedder(), "pool", "last", images, flipping).found[INFRARED]
    pixels = images.pixels(INFRARED, 4)
    both = [PlainEmbedder().by_hand(image, "infrared", "pool") for image in (pixels, pixels[:, ::-1])]
    np.testing.assert_allclose(found.features[4], sum(both) / np.linalg.norm(sum(both)), atol=1e-5)


def test_feature_maps_are_those_of_the_images_asked_for(people):
    config, _, images = people
    found = embed_images("run", PlainEmbedder(), "pool", "last", images, config)
    for modality, indices in ((VISIBLE, [7, 2]), (INFRARED, [11, 0, 5])):
        maps = found.feature_maps(images, modality, indices)
        assert maps.dtype == np.float32
        for place, index in enumerate(indices):
            expected = PlainEmbedder().map_by_hand(images.pixels(modality, index), MODALITIES[modality])
            np.testing.assert_allclose(maps[place], expected, atol=1e-5)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Directory of a pre-training (both weights), a fine-tuning from it, and one from random weights."""
    root = tmp_path_factory.mktemp("runs")
    layers = {"pre": write_run(root / "pre", settings("pretrain"), encoders=("last", "best"), steps=6)}
    for name, init in (("tuned", str(root / "pre")), ("scratch", "random")):
        config = settings(init=init, seed=4)
        layers[name] = write_run(root / name, config, embedders=("last", "best"), steps=8, best_epoch=2)
    return root, layers


def looking_at(root, name, **changes):
    return settings(**{**run_settings(root / name), "init": str(root / name), "batch_size": 16, **changes})


@pytest.mark.parametrize("which", ["best", "last"])
@pytest.mark.parametrize(
    ("name", "part", "feature"), [("tuned", "embedder", "neck"), ("pre", "encoder", "pool")]
)
def test_a_run_is_seen_with_the_weights_that_were_asked_for(people, runs, which, name, part, feature):
    root, layers = runs
    found = embeddings_of_run(looking_at(root, name, init_weights=which), "its name", people[2])
    assert (found.name, found.weights, found.feature) == ("its name", which, feature)
    loaded = found.embedder if part == "embedder" else found.embedder.encoder
    assert same(loaded, layers[name][f"{part}_{which}"])


def test_a_run_that_chose_no_best_is_seen_with_its_last_weights(people, runs, tmp_path):
    root, layers = runs
    shutil.copytree(root / "tuned", tmp_path / "tuned", ignore=shutil.ignore_patterns("embedder_best*"))
    found = embeddings_of_run(looking_at(tmp_path, "tuned"), "x", people[2])
    assert found.weights == "last" and same(found.embedder, layers["tuned"]["embedder_last"])


@pytest.mark.parametrize("which", ["best", "last"])
def test_before_fine_tuning_there_were_the_weights_it_started_from(people, runs, tmp_path, which):
    root, layers = runs
    write_run(tmp_path / "tuned", settings(init=str(root / "pre"), init_weights=which, seed=4))
    # What is typed now says which weights of the *fine-tuning* are shown, and must not reach its start.
    typed = {"best": "last", "last": "best"}[which]
    found = embeddings_before_training(looking_at(tmp_path, "tuned", init_weights=typed), people[2])
    assert found.name == "pre-trained, before fine-tuning"
    assert (found.feature, found.weights) == ("pool", "first")
    assert same(found.embedder.encoder, layers["pre"][f"encoder_{which}"])


def test_before_a_start_from_scratch_there_were_the_seeds_own_random_weights(people, runs):
    root, _ = runs
    found = embeddings_before_training(looking_at(root, "scratch"), people[2])
    assert found.name == "random initialisation"
    assert same(found.embedder.encoder, build_embedder(settings(seed=4)).encoder)
    assert not same(found.embedder.encoder, build_embedder(settings(seed=5)).encoder)


def test_a_stem_that_was_chosen_then_is_chosen_again(people, runs, tmp_path):
    root, layers = runs
    config = settings(init=str(root / "pre"), method="one_stream", stem_from="infrared")
    write_run(tmp_path / "one", config)
    found = embeddings_before_training(looking_at(tmp_path, "one", stem_from=""), people[2])
    source = layers["pre"]["encoder_best"].stem_infrared.conv1.kernel
    np.testing.assert_array_equal(found.embedder.encoder.stem.conv1.kernel, source)


def test_nothing_comes_before_a_pre_training_or_a_start_that_is_gone(people, runs, tmp_path, capsys):
    root, _ = runs
    assert embeddings_before_training(looking_at(root, "pre"), people[2]) is None
    assert capsys.readouterr().out == ""
    write_run(tmp_path / "orphan", settings(init=str(tmp_path / "deleted")))
    assert embeddings_before_training(looking_at(tmp_path, "orphan"), people[2]) is None
    assert "deleted is neither a run directory nor a file" in capsys.readouterr().out
