import zlib

import numpy as np
import pytest

from mmgl_tf.backbones import Encoder
from tests.mmgl_tf.backbones.golden_images import both, drawn_images


def reference_key(path):
    """Name that the variable of a path has in the reference's state dict."""
    first, *places, leaf = path.split("/")[1:]
    owners = {"stem_visible": "visible_module.visible", "stem_infrared": "thermal_module.thermal"}
    owner = owners.get(first, f"base_resnet.base.{first}")
    places = [{"downsample_conv": "downsample.0", "downsample_bn": "downsample.1"}.get(p, p) for p in places]
    leaves = {"beta": "bias", "moving_mean": "running_mean", "moving_variance": "running_var"}
    return ".".join([owner, *places, leaves.get(leaf, "weight")])


def recipe(key, shape):
    """Values of a tensor of the reference, a function of its name alone."""
    random = np.random.RandomState(zlib.crc32(key.encode()))
    if key.endswith("running_var"):
        return 1 + 0.1 * random.rand(*shape)
    if key.endswith("running_mean"):
        return 0.05 * random.randn(*shape)
    if len(shape) == 1:
        return 1 + 0.05 * random.randn(*shape) if key.endswith("weight") else 0.02 * random.randn(*shape)
    return random.randn(*shape) * np.sqrt(1 / np.prod(shape[1:]))


def by_recipe(encoder):
    for variable in encoder.variables:
        key, shape = reference_key(variable.path), tuple(variable.shape)
        if len(shape) == 4:
            rows, columns, inputs, outputs = shape
            value = recipe(key, (outputs, inputs, rows, columns)).transpose(2, 3, 1, 0)
        else:
            value = recipe(key, shape)
        variable.assign(value)
    return encoder


@pytest.fixture(scope="module")
def reference_encoder():
    encoder = Encoder("resnet50", "two")
    encoder.build_from(96, 48)
    return encoder


def unit_pool(feature_map):
    pooled = feature_map.numpy().astype("float64").mean(axis=(1, 2))
    return pooled / np.linalg.norm(pooled, axis=1, keepdims=True)


def test_inference_reproduces_the_reference_network(reference_encoder):
    by_recipe(reference_encoder)
    visible = unit_pool(reference_encoder({"visible": drawn_images(11)}))
    assert visible.sum() == pytest.approx(62.863610, rel=1e-5)
    np.testing.assert_allclose(visible[0, :4], [0.053436, 0.018656, 0.018375, 0.0], atol=1e-6)
    infrared = unit_pool(reference_encoder({"infrared": drawn_images(12)}))
    assert infrared.sum() == pytest.approx(62.906217, rel=1e-5)
    together = unit_pool(reference_encoder(both()))
    np.testing.assert_allclose(together, np.concatenate([visible, infrared]), atol=1e-6)


def test_training_reproduces_the_reference_network(reference_encoder):
    by_recipe(reference_encoder)
    pooled = reference_encoder(both(), training=True).numpy().astype("float64").mean(axis=(1, 2))
    assert pooled.sum() == pytest.approx(8484.354443, rel=1e-4)
    assert np.linalg.norm(pooled) == pytest.approx(96.348266, rel=1e-4)
    moving = {v.path: v.numpy() for v in reference_encoder.non_trainable_variables}
    assert moving["encoder/layer1/0/bn1/moving_variance"].sum() == pytest.approx(63.307922, rel=1e-6)
