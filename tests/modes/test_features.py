import numpy as np
import pytest
import tensorflow as tf

from mmgl_tf.backbones import Encoder
from mmgl_tf.finetuning.embedder import Embedder
from mmgl_tf.modes.features import Extractor
from mmgl_tf.pipelines.decode import normalise
from mmgl_tf.pipelines.records import INFRARED, VISIBLE, Sample
from mmgl_tf.training.guards import Diverged
from tests.pipelines.fake_store import FakeStore


@pytest.fixture(scope="module")
def embedder():
    embedder = Embedder(Encoder("resnet10", "two", stem_init="independent", seed=1))
    embedder.build_from(48, 32)
    return embedder


def samples(number):
    return [Sample(f"{i}.jpg", 100 + i, None if i % 2 else i, INFRARED) for i in range(number)]


def by_hand(embedder, store, name, mirrored=False):
    """Embeddings one image at a time, without graphs, batches or padding."""
    rows = {"pool": [], "neck": []}
    for position in store.usable:
        image = store.images[position]
        image = np.repeat(image, 3, axis=2) if image.shape[2] == 1 else image
        image = image[:, ::-1] if mirrored else image
        found = embedder.embed({name: normalise(tf.constant(image, tf.float32))[None]})
        for feature, value in found.items():
            rows[feature].append(value.numpy()[0])
    return {feature: np.array(found) for feature, found in rows.items()}


def wide_store(number, channels, usable=None):
    """Images of 48 x 32 pixels, which the network's stride divides."""
    store = FakeStore(number, channels, usable, height=48)
    store.images = np.concatenate([store.images, store.images[:, :, :8]], axis=2)
    return store


@pytest.mark.parametrize(
    ("modality", "name", "channels"), [(VISIBLE, "visible", 3), (INFRARED, "infrared", 1)]
)
def test_embeddings_are_those_of_one_image_at_a_time(embedder, modality, name, channels):
    store = wide_store(7, channels, usable=[0, 2, 3, 5, 6])
    progress = []
    extract = Extractor(embedder, batch_size=2)
    found = extract(store, samples(7), modality, lambda *call: progress.append(call))
    expected = by_hand(embedder, store, name)
    assert set(found) == {"pool", "neck"}
    for feature, value in found.items():
        np.testing.assert_allclose(value.features, expected[feature], atol=2e-6)
        assert value.identities.tolist() == [100, 102, 103, 105, 106]
        assert value.cameras.tolist() == [0, 2, -1, -1, 6]
    assert [call[:2] for call in progress] == [(2, 5), (4, 5), (5, 5)]


def test_flipping_averages_with_the_mirror_image_at_unit_length(embedder):
    store = wide_store(3, 3)
    found = Extractor(embedder, batch_size=2, flip=True)(store, samples(3), VISIBLE)
    plain, mirrored = by_hand(embedder, store, "visible"), by_hand(embedder, store, "visible", mirrored=True)
    for feature, value in found.items():
        total = plain[feature] + mirrored[feature]
        expected = total / np.linalg.norm(total, axis=1, keepdims=True)
        np.testing.assert_allclose(value.features, expected, atol=2e-6)
        assert np.abs(expected - plain[feature]).max() > 1e-3


def test_lengths_are_kept_where_they_count(embedder):
    store = wide_store(3, 3)
    plain = Extractor(embedder, batch_size=2)(store, samples(3), VISIBLE)
    found = Extractor(embedder, batch_size=2, lengths=True)(store, samples(3), VISIBLE)
    images = normalise(tf.constant(store.images[:3], tf.float32))
    for feature, value in embedder({"visible": images}).items():
        assert plain[feature].lengths is None
        np.testing.assert_allclose(found[feature].features, plain[feature].features, atol=2e-6)
        np.testing.assert_allclose(found[feature].lengths, np.linalg.norm(value, axis=1), rtol=1e-5)


def test_weights_may_change_between_passes(embedder):
    """The search of an epoch must not see the weights of the one before."""
    store, extract = wide_store(2, 3), Extractor(embedder, batch_size=2)
    first = extract(store, samples(2), VISIBLE)["pool"].features
    kernel = embedder.encoder.layer4.blocks[0].conv2.kernel
    before = kernel.numpy()
    kernel.assign(-before)
    second = extract(store, samples(2), VISIBLE)["pool"].features
    kernel.assign(before)
    assert not np.allclose(first, second, atol=1e-3)


def test_a_single_embedding_that_is_not_finite_is_found(embedder):
    class Broken:
        def embed(self, images):
            found = embedder.embed(images)
            rows = tf.shape(found["neck"])[0]
            return found | {"neck": tf.where(tf.range(rows)[:, None] == 1, np.inf, found["neck"])}

    with pytest.raises(Diverged, match=r"2 of 4 infrared embeddings \(neck\) are not finite: .*diverged"):
        Extractor(Broken(), batch_size=2)(wide_store(4, 1), samples(4), INFRARED)
