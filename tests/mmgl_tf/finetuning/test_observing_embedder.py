"""VCD's network at inference: four observations, starts of three encoders, an exported one."""

import numpy as np
import pytest
import tensorflow as tf

from mmgl_tf.backbones import Encoder
from mmgl_tf.finetuning.observing_embedder import ObservingEmbedder
from mmgl_tf.layers.grey_image import grey_image
from mmgl_tf.modes.saved_run import start_encoders
from mmgl_tf.pipelines.decode import normalise
from mmgl_tf.serving.inference_network import InferenceNetwork
from mmgl_tf.serving.saved_model import write_saved_model
from mmgl_tf.serving.session_model import SessionModel
from tests.mmgl_tf.serving.trained_embedder import images, with_statistics
from tests.modes.small_run import settings

SIZE = (96, 48)
WHOSE = ("infrared", "shared", "visible")


def fresh(seed=1):
    embedder = ObservingEmbedder(Encoder("resnet10", "one", seed=seed), seed=2)
    embedder.build_from(*SIZE)
    return embedder


@pytest.fixture(scope="module")
def trained():
    """As if it had been trained: open gates too."""
    embedder = with_statistics(fresh())
    for whose in WHOSE:
        for number in (1, 2, 3):
            getattr(embedder, f"attention_{whose}_layer{number}").gamma.assign([0.1 * number])
    return embedder


def observed_by_hand(embedder, whose, batch):
    """Pooled and behind the neck, of one encoder."""
    encoder = embedder.encoder_of(whose)
    x = encoder.layer1(encoder.stem(batch))
    for number in (1, 2, 3):
        x = getattr(embedder, f"attention_{whose}_layer{number}")(x)
        x = getattr(encoder, f"layer{number + 1}")(x)
    pooled = x.numpy().mean(axis=(1, 2))
    return pooled, getattr(embedder, f"neck_{whose}")(pooled).numpy()


def test_features_are_four_observations_in_the_released_order(trained):
    batch = {"visible": images(2), "infrared": images(1, seed=1)}
    whole = tf.concat([batch["visible"], batch["infrared"]], axis=0)
    grey = grey_image(whole)
    parts = [
        observed_by_hand(trained, "infrared", grey),
        observed_by_hand(trained, "shared", grey),
        observed_by_hand(trained, "visible", whole),
        observed_by_hand(trained, "shared", whole),
    ]
    found = trained(batch)
    assert trained.feature_sizes == {"neck": 1024, "pool": 1024}
    for place, feature in enumerate(("pool", "neck")):
        expected = np.concatenate([part[place] for part in parts], axis=1)
        np.testing.assert_allclose(found[feature], expected, rtol=1e-3, atol=1e-4)
    maps = trained.feature_map(batch)
    assert maps.shape == (3, 6, 3, 1024)
    np.testing.assert_allclose(maps.numpy().mean(axis=(1, 2)), found["pool"], rtol=1e-4, atol=1e-5)


def test_fresh_attention_leaves_trunks_as_they_are_and_encoders_differ():
    embedder, batch = fresh(), {"visible": images(2)}
    found = embedder.observe(batch)
    for name, whose in (("visible", "visible"), ("shared", "shared")):
        expected = embedder.encoder_of(whose)(batch).numpy().mean(axis=(1, 2))
        np.testing.assert_allclose(found[name]["pool"], expected, rtol=1e-5, atol=1e-6)
    kernels = [embedder.encoder_of(whose).stem.conv1.kernel.numpy() for whose in WHOSE]
    assert not any(np.array_equal(a, b) for a, b in zip(kernels, kernels[1:] + kernels[:1], strict=True))
    again = fresh()
    for own, other in zip(embedder.weights, again.weights, strict=True):
        np.testing.assert_array_equal(own, other)


def stem(encoder):
    return encoder.stem.conv1.kernel.numpy()


def test_all_encoders_start_from_one_file(tmp_path):
    source = Encoder("resnet10", "one", seed=5)
    source.build_from(*SIZE)
    with_statistics(source)
    source.save_weights(tmp_path / "encoder.weights.h5")
    embedder = fresh()
    lines = start_encoders(embedder, settings(init=str(tmp_path / "encoder.weights.h5")))
    for whose in WHOSE:
        for own, given in zip(embedder.encoder_of(whose).weights, source.weights, strict=True):
            np.testing.assert_array_equal(own, given)
    assert sum("tensors matched, 0 missing" in line for line in lines) == 3
    assert any(line.startswith("encoder_visible: ") for line in lines)


def test_of_two_stems_each_encoder_takes_its_own_and_the_shared_one_s_is_asked_for(tmp_path):
    source = Encoder("resnet10", "two", stem_init="independent", seed=5)
    source.build_from(*SIZE)
    path = tmp_path / "encoder.weights.h5"
    source.save_weights(path)
    embedder, untouched = fresh(), fresh()
    with pytest.raises(ValueError, match="--stem_from=visible, infrared or mean"):
        start_encoders(embedder, settings(init=str(path)))
    for own, other in zip(embedder.weights, untouched.weights, strict=True):
        np.testing.assert_array_equal(own, other)
    stems = {m: getattr(source, f"stem_{m}").conv1.kernel.numpy() for m in ("visible", "infrared")}
    start_encoders(embedder, settings(init=str(path), stem_from="mean"))
    np.testing.assert_array_equal(stem(embedder.encoder_visible), stems["visible"])
    np.testing.assert_array_equal(stem(embedder.encoder_infrared), stems["infrared"])
    np.testing.assert_allclose(stem(embedder.encoder), (stems["visible"] + stems["infrared"]) / 2, rtol=1e-6)
    for whose in WHOSE:
        kernel = embedder.encoder_of(whose).layer2.blocks[0].conv1.kernel
        np.testing.assert_array_equal(kernel, source.layer2.blocks[0].conv1.kernel)


@pytest.mark.parametrize("feature", ["neck", "pool"])
def test_folding_changes_nothing_and_the_shared_copy_is_made_once(trained, feature):
    batch = {"visible": images(2), "infrared": images(1, seed=1)}
    network = InferenceNetwork(trained, feature)
    assert network.num_features == 1024
    assert set(network.encoders) == {"encoder", "encoder_infrared", "encoder_visible"}
    np.testing.assert_allclose(network(batch), trained.embed(batch)[feature], atol=1e-5)
    rough = InferenceNetwork(trained, feature, "bfloat16")(batch)
    assert rough.dtype == tf.float32
    assert np.sum(rough * trained.embed(batch)[feature], axis=1).min() > 0.99


def test_an_exported_model_says_the_same(trained, tmp_path):
    write_saved_model(InferenceNetwork(trained, "neck"), *SIZE, tmp_path / "model")
    pixels = np.random.default_rng(0).integers(0, 256, (3, *SIZE, 3)).astype("float32")
    expected = trained.embed({"visible": normalise(pixels)})["neck"]
    with SessionModel(tmp_path / "model") as model:
        found = model.run({"images": pixels}, "serving_images")["embedding"]
    np.testing.assert_allclose(found, expected, atol=1e-5)
