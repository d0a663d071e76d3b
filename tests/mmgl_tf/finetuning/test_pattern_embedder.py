"""MPANet's network at inference: where its modules stand, and that an exported one says the same."""

import numpy as np
import pytest
import tensorflow as tf

from mmgl_tf.backbones import Encoder
from mmgl_tf.finetuning.pattern_embedder import PatternEmbedder
from mmgl_tf.pipelines.decode import normalise
from mmgl_tf.serving.inference_network import InferenceNetwork
from mmgl_tf.serving.saved_model import write_saved_model
from mmgl_tf.serving.session_model import SessionModel
from tests.mmgl_tf.serving.trained_embedder import images, with_statistics

SIZE = (96, 48)


def embedder_of(**settings):
    """As if it had been trained."""
    embedder = PatternEmbedder(Encoder("resnet10", "one", seed=1), seed=2, **settings)
    embedder.build_from(*SIZE)
    return with_statistics(embedder)


@pytest.mark.parametrize(
    ("alleviation", "stages"), [("both", ["layer3", "layer4"]), ("last", ["layer4"]), ("none", [])]
)
def test_the_feature_map_is_the_stages_composed_by_hand(alleviation, stages):
    embedder = embedder_of(alleviation=alleviation)
    encoder, batch = embedder.encoder, {"visible": images(2), "infrared": images(1, seed=1)}
    x = encoder.stem(tf.concat([batch["visible"], batch["infrared"]], axis=0))
    for stage in encoder.stages:
        x = stage(x)
        if stage.name in stages:
            x = getattr(embedder, f"alleviation_{stage.name}")(x)
    np.testing.assert_allclose(embedder.feature_map(batch), x, rtol=1e-5, atol=1e-5)
    names = {variable.path.split("/")[0] for variable in embedder.weights}
    assert names == {"encoder", "neck", "patterns", *(f"alleviation_{stage}" for stage in stages)}


def test_features_are_patterns_and_mean_and_the_neck_behind_them():
    embedder = embedder_of(patterns=3)
    batch = {"visible": images(2)}
    found, feature_map = embedder(batch), embedder.feature_map(batch).numpy()
    kernel, bias = (v.numpy() for v in embedder.patterns.masks.weights)
    masks = 1 / (1 + np.exp(-(feature_map @ kernel + bias)))
    parts = [(masks[..., p : p + 1] * feature_map).mean(axis=(1, 2)) for p in range(3)]
    expected = np.concatenate([*parts, feature_map.mean(axis=(1, 2))], axis=1)
    assert embedder.feature_sizes == {"neck": 1024, "pool": 1024} and list(found) == ["neck", "pool"]
    np.testing.assert_allclose(found["pool"], expected, rtol=1e-4, atol=1e-5)
    gamma, mean, variance = (v.numpy() for v in embedder.neck.weights)
    np.testing.assert_allclose(
        found["neck"], gamma * (expected - mean) / np.sqrt(variance + 1e-5), rtol=1e-3, atol=1e-4
    )
    np.testing.assert_allclose(embedder.with_masks(batch)["masks"], masks, rtol=1e-4, atol=1e-5)


def test_before_training_weights_are_compared_without_random_layers():
    embedder = embedder_of()
    plain = embedder.before_training()
    batch = {"visible": images(2)}
    expected = embedder.encoder(batch).numpy().mean(axis=(1, 2))
    np.testing.assert_allclose(plain(batch)[plain.START_FEATURE], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("feature", ["neck", "pool"])
def test_folding_changes_nothing(feature):
    embedder, batch = embedder_of(), {"visible": images(2), "infrared": images(1, seed=1)}
    network = InferenceNetwork(embedder, feature)
    assert network.num_features == 1792
    np.testing.assert_allclose(network(batch), embedder.embed(batch)[feature], atol=1e-5)
    rough = InferenceNetwork(embedder, feature, "bfloat16")(batch)
    assert rough.dtype == tf.float32
    assert np.sum(rough * embedder.embed(batch)[feature], axis=1).min() > 0.99


def test_an_exported_model_says_the_same(tmp_path):
    """Its masks and modules are Keras layers, whose weights a server must find."""
    embedder = embedder_of()
    write_saved_model(InferenceNetwork(embedder, "neck"), *SIZE, tmp_path / "model")
    pixels = np.random.default_rng(0).integers(0, 256, (3, *SIZE, 3)).astype("float32")
    expected = embedder.embed({"visible": normalise(pixels)})["neck"]
    with SessionModel(tmp_path / "model") as model:
        found = model.run({"images": pixels}, "serving_images")["embedding"]
    np.testing.assert_allclose(found, expected, atol=1e-5)
