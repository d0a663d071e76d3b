"""The folded network says what the network with batch norms says."""

import numpy as np
import pytest
import tensorflow as tf

from mmgl_tf.layers.normalization.batch_norm import FusedBatchNorm
from mmgl_tf.serving.folded_layers import affine
from mmgl_tf.serving.inference_network import InferenceNetwork
from tests.mmgl_tf.serving.trained_embedder import images, trained_embedder
from tests.one_ulp import images_moved_by_one_ulp


@pytest.mark.parametrize(
    ("backbone", "stream", "size", "width", "power"),
    [
        ("resnet10", "two", (96, 48), 0, 0.0),
        ("resnet10", "one", (96, 48), 0, 0.0),
        ("resnet10", "two", (96, 48), 1, 3.0),
        ("resnet18", "two", (48, 32), 3, 3.0),
        ("resnet50", "two", (64, 32), 0, 0.0),
        ("resnet50", "two", (64, 32), 1, 3.0),
    ],
)
def test_folding_changes_nothing(backbone, stream, size, width, power):
    embedder = trained_embedder(backbone, stream, size, width, power)
    batch = {"visible": images(2, size), "infrared": images(1, size, seed=1)}
    expected = embedder.embed(batch)
    for feature in ("neck", "pool"):
        network = InferenceNetwork(embedder, feature)
        found = network.embed(batch)[feature].numpy()
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected[feature], atol=1e-5)
        np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1.0, atol=1e-6)
    assert np.abs(expected["neck"] - expected["pool"]).max() > 1e-3, "the features must differ"
    alone = network({"infrared": batch["infrared"]}).numpy()
    np.testing.assert_allclose(alone, found[2:], atol=1e-5)


def test_bfloat16_keeps_the_direction_and_gives_float32():
    embedder = trained_embedder(non_local_width=1, gem_power=3.0)
    batch = {"visible": images(4), "infrared": images(4, seed=1)}
    found = InferenceNetwork(embedder, "neck", "bfloat16")(batch).numpy()
    expected = embedder.embed(batch)["neck"].numpy()
    assert found.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1.0, atol=1e-6)
    assert np.sum(found * expected, axis=1).min() > 0.99
    moved = images_moved_by_one_ulp(batch, "bfloat16", 0)
    spread = np.linalg.norm(embedder.embed(moved)["neck"] - expected)
    # Every layer rounds, and the weights are rounded too: 1 to 5 of the spread was seen.
    assert 0.1 * spread < np.linalg.norm(found - expected) < 10.0 * spread


def test_a_modality_without_images_takes_no_part():
    embedder = trained_embedder()
    network = InferenceNetwork(embedder, "pool")
    batch = images(2)
    expected = embedder.embed({"infrared": batch})["pool"].numpy()
    embed = tf.function(
        lambda visible, infrared: network({"visible": visible, "infrared": infrared}), autograph=False
    )
    np.testing.assert_allclose(embed(batch[:0], batch), expected, atol=1e-5)
    np.testing.assert_allclose(embed(batch, batch[:0]), embedder.embed({"visible": batch})["pool"], atol=1e-5)


def test_a_feature_of_zeros_stays_zero():
    embedder = trained_embedder()
    last = embedder.encoder.stages[-1].blocks[-1]
    for norm in (last.bn2, last.downsample_bn):
        norm.gamma.assign(tf.zeros_like(norm.gamma))
        norm.beta.assign(-tf.ones_like(norm.beta))  # ReLU leaves nothing
    found = InferenceNetwork(embedder, "pool")({"visible": images(2)}).numpy()
    np.testing.assert_array_equal(found, 0.0)


def test_a_tiny_variance_folds_as_it_normalises():
    norm = FusedBatchNorm()
    norm.build((None, 2))
    norm.moving_variance.assign([0.0, 1e-6])
    norm.moving_mean.assign([3.0, -2.0])
    norm.gamma.assign([0.5, 2.0])
    x = np.array([[3.001, -1.999], [2.0, 5.0]], np.float32)
    scale, shift = affine(norm)
    np.testing.assert_allclose(x * scale + shift, norm(x), rtol=1e-4)


@pytest.mark.parametrize(("feature", "precision"), [("head", "float32"), ("neck", "float16")])
def test_unknown_choices_are_refused(feature, precision):
    with pytest.raises(ValueError, match="expected one of"):
        InferenceNetwork(trained_embedder(), feature, precision)
