import keras
import numpy as np
import pytest
import tensorflow as tf

from mmgl_tf.backbones import Encoder
from mmgl_tf.finetuning.embedder import Embedder
from mmgl_tf.finetuning.triplet_model import angular_spread

HEIGHT, WIDTH = 64, 32


def embedder_of(backbone="resnet10", stream="two", **kwargs):
    embedder = Embedder(Encoder(backbone, stream, seed=1), seed=3, **kwargs)
    embedder.build_from(HEIGHT, WIDTH)
    return embedder


def opened(embedder):
    """Gates of the non-local blocks, and moving statistics, that hide nothing."""
    dice = np.random.default_rng(2)
    for block in embedder.non_local.values():
        for variable in block.norm.weights:
            variable.assign(dice.uniform(0.5, 1.5, variable.shape))
    for variable in embedder.neck.weights:
        variable.assign(dice.uniform(0.5, 1.5, variable.shape))
    return embedder


def images(visible=2, infrared=3, seed=0):
    dice = np.random.default_rng(seed)
    return {
        name: tf.constant(dice.standard_normal((count, HEIGHT, WIDTH, 3)), tf.float32)
        for name, count in (("visible", visible), ("infrared", infrared))
        if count
    }


@pytest.mark.parametrize(
    ("backbone", "places"),
    [
        ("resnet10", {("layer2", 0), ("layer3", 0)}),
        ("resnet18", {("layer2", 0), ("layer2", 1), ("layer3", 0), ("layer3", 1)}),
    ],
)
def test_non_local_blocks_stand_at_agws_places(backbone, places):
    embedder = embedder_of(backbone, non_local_width=2)
    assert set(embedder.non_local) == places
    for (stage, place), block in embedder.non_local.items():
        assert block.name == f"non_local_{stage}_{place}"
        assert all(v.path.startswith(block.name) for v in block.weights)
        assert block.theta.kernel.shape[1] == 2
    kernels = [block.theta.kernel.numpy() for block in embedder.non_local.values()]
    assert len({kernel.tobytes() for kernel in kernels}) == len(kernels), "each place draws its own weights"
    assert embedder_of(backbone).non_local == {}


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("backbone", ["resnet10", "resnet18"])
def test_the_feature_map_is_the_stages_composed_by_hand(backbone, training):
    embedder = opened(embedder_of(backbone, non_local_width=1))
    encoder, batch = embedder.encoder, images()
    found = embedder.feature_map(batch, training)
    x = tf.concat(
        [
            encoder.stem_visible(batch["visible"], training=training),
            encoder.stem_infrared(batch["infrared"], training=training),
        ],
        axis=0,
    )
    for stage in (encoder.layer1, encoder.layer2, encoder.layer3, encoder.layer4):
        for number, block in enumerate(stage.blocks):
            x = block(x, training=training)
            if (stage.name, number) in embedder.non_local:
                x = embedder.non_local[stage.name, number](x, training=training)
    np.testing.assert_allclose(found, x, rtol=1e-5, atol=1e-5)
    without = encoder(batch, training=training)
    assert not np.allclose(found, without, rtol=1e-2, atol=1e-2), "the blocks must have been used"


@pytest.mark.parametrize("backbone", ["resnet34", "resnet50"])
def test_agws_five_places_follow_the_last_blocks(backbone):
    embedder = Embedder(Encoder(backbone), non_local_width=1)  # never built
    assert embedder.places == [("layer2", 2), ("layer2", 3), ("layer3", 3), ("layer3", 4), ("layer3", 5)]


def test_fresh_non_local_blocks_leave_the_trunk_as_it_is():
    embedder = embedder_of(non_local_width=1)
    np.testing.assert_array_equal(embedder.feature_map(images()), embedder.encoder(images()))


@pytest.mark.parametrize("power", [0.0, 1.0, 3.0])
def test_pooling_is_a_mean_of_powers_over_places(power):
    embedder = embedder_of(gem_power=power)
    feature_map = np.random.default_rng(0).uniform(0, 2, (3, 4, 2, 256)).astype(np.float32)
    p = power or 1.0
    expected = np.mean(feature_map.astype(np.float64) ** p, axis=(1, 2)) ** (1 / p)
    np.testing.assert_allclose(embedder.pool(tf.constant(feature_map)), expected, rtol=1e-5)


def test_features_are_pool_and_neck_visible_images_first():
    embedder = opened(embedder_of())
    batch = images()
    found = embedder(batch)
    assert set(found) == {"pool", "neck"}
    pooled = embedder.feature_map(batch).numpy().mean(axis=(1, 2))
    np.testing.assert_allclose(found["pool"], pooled, rtol=1e-5, atol=1e-6)
    gamma, mean, variance = (w.numpy() for w in embedder.neck.weights)
    np.testing.assert_allclose(
        found["neck"], gamma * (pooled - mean) / np.sqrt(variance + 1e-5), rtol=1e-4, atol=1e-5
    )
    for name, rows in (("visible", slice(0, 2)), ("infrared", slice(2, 5))):
        alone = embedder({name: batch[name]})
        np.testing.assert_allclose(alone["neck"], found["neck"][rows], rtol=1e-4, atol=1e-5)


def test_embeddings_are_the_features_at_unit_length_and_a_feature_of_zeros_stays():
    embedder = opened(embedder_of())
    batch = images()
    features, found = embedder(batch), embedder.embed(batch)
    for name in ("pool", "neck"):
        length = np.linalg.norm(features[name], axis=1, keepdims=True)
        np.testing.assert_allclose(found[name], features[name] / length, rtol=1e-5, atol=1e-7)
        np.testing.assert_allclose(np.linalg.norm(found[name], axis=1), 1.0, rtol=1e-6)
        assert not np.allclose(length, 1.0, atol=0.01)
    embedder.neck.gamma.assign(1e-6 * embedder.neck.gamma)
    embedder.neck.moving_mean.assign(tf.zeros_like(embedder.neck.moving_mean))
    np.testing.assert_allclose(np.linalg.norm(embedder.embed(batch)["neck"], axis=1), 1.0, rtol=1e-5)
    for block in embedder.encoder.layer4.blocks:
        for norm in (block.bn2, block.downsample_bn):
            norm.gamma.assign(tf.zeros_like(norm.gamma))
    assert np.all(embedder.embed(batch)["pool"].numpy() == 0.0)


def test_embedding_looks_at_no_other_image_of_the_batch():
    embedder = opened(embedder_of(non_local_width=1, gem_power=3.0))
    batch = images(visible=4, infrared=0)
    together = embedder.embed(batch)["neck"]
    alone = embedder.embed({"visible": batch["visible"][2:3]})["neck"]
    np.testing.assert_allclose(together[2:3], alone, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("power", [0.0, 3.0])
def test_features_are_float32_under_half_precision(power):
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    embedder = embedder_of(non_local_width=1, gem_power=power)
    assert embedder.feature_map(images()).dtype == tf.bfloat16
    assert all(value.dtype == tf.float32 for value in embedder.embed(images()).values())
    assert {v.dtype for v in embedder.weights} == {"float32"}


def slow_spread(features):
    """One minus the mean over all ordered pairs, an image with itself included, of their cosine."""
    unit = [row / np.linalg.norm(row) for row in features.astype(np.float64)]
    return 1.0 - np.mean([[first @ second for second in unit] for first in unit])


@pytest.mark.parametrize("offset", [0.0, 0.5, 5.0, 300.0])
def test_spread_is_one_minus_the_mean_cosine_of_all_pairs(offset):
    features = np.random.default_rng(0).standard_normal((6, 8)).astype(np.float32) + np.float32(offset)
    expected = slow_spread(features)
    assert float(angular_spread(tf.constant(features))) == pytest.approx(expected, rel=2e-2, abs=1e-9)
    np.testing.assert_allclose(
        angular_spread(tf.constant(7 * features)), angular_spread(tf.constant(features)), rtol=1e-3
    )


def test_spread_at_its_ends():
    row = np.random.default_rng(0).standard_normal((1, 2048)).astype(np.float32)
    assert float(angular_spread(tf.constant(np.repeat(row, 64, axis=0)))) < 1e-12
    assert float(angular_spread(tf.constant(np.concatenate([row, -row])))) == pytest.approx(1.0)
    assert float(angular_spread(tf.zeros((4, 8)))) == 0.0
    # A few float32 roundings apart are still told from equal.
    near = np.repeat(row, 64, axis=0) * (1 + 1e-3 * np.random.default_rng(1).standard_normal((64, 2048)))
    assert float(angular_spread(tf.constant(near, tf.float32))) == pytest.approx(1e-6, rel=0.1)
