import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf

from mmgl_tf.backbones import BACKBONES, Encoder
from mmgl_tf.flags.config import settings
from mmgl_tf.pipelines.records import MODALITIES
from tests.mmgl_tf.backbones.golden_images import both, drawn_images
from tests.one_ulp import images_moved_by_one_ulp


@pytest.fixture(scope="module")
def small_encoder():
    encoder = Encoder("resnet10", "two")
    encoder.build_from(96, 48)
    return encoder


@pytest.mark.parametrize(
    ("backbone", "stream", "parameters"),
    [
        ("resnet50", "one", 23_508_032),
        ("resnet50", "two", 23_517_568),
        ("resnet34", "one", 21_284_672),
        ("resnet18", "one", 11_176_512),
        ("resnet10", "two", 1_230_400),
        # Counted by hand: a second stem has 7 x 7 x 3 x 64 + 2 x 64 parameters.
        ("resnet34", "two", 21_284_672 + 9_536),
        ("resnet18", "two", 11_176_512 + 9_536),
    ],
)
def test_parameter_counts_are_the_references(backbone, stream, parameters):
    encoder = Encoder(backbone, stream)
    encoder.build_from(288, 144)
    assert sum(int(np.prod(v.shape)) for v in encoder.trainable_variables) == parameters


def test_shapes_of_the_paper_on_the_way_through():
    """Spec table A1: 288x144 -> stem 72x36x64 -> 72x36x256, 36x18x512, 18x9x1024, 18x9x2048."""
    encoder = Encoder("resnet50")
    shape = encoder.stem_visible.compute_output_shape((48, 288, 144, 3))
    assert shape == (48, 72, 36, 64)
    found = []
    for stage in encoder.stages:
        shape = stage.compute_output_shape(shape)
        found.append(shape)
    assert found == [(48, 72, 36, 256), (48, 36, 18, 512), (48, 18, 9, 1024), (48, 18, 9, 2048)]
    images = dict.fromkeys(MODALITIES, (48, 288, 144, 3))
    assert encoder.compute_output_shape(images) == (96, 18, 9, 2048)
    assert encoder.build_from(288, 144) == (18, 9)
    assert (encoder.stride, encoder.num_features) == (16, 2048)


@pytest.mark.parametrize("stream", ["one", "two"])
@pytest.mark.parametrize("backbone", BACKBONES)
def test_every_backbone_gives_the_shape_it_promises(backbone, stream):
    encoder = Encoder(backbone, stream)
    rows, columns = encoder.build_from(64, 32)
    for inputs in (both(2, 1, 64, 32), {"visible": drawn_images(1, 3, 64, 32)}):
        images = sum(len(x) for x in inputs.values())
        found = encoder(inputs)
        assert found.shape == (images, rows, columns, encoder.num_features)
        assert found.shape == encoder.compute_output_shape({m: x.shape for m, x in inputs.items()})


def test_bottlenecks_stride_in_the_3x3_convolution():
    first = Encoder("resnet50").stages[1].blocks[0]
    assert [first.conv1.strides, first.conv2.strides, first.conv3.strides] == [1, 2, 1]
    assert first.downsample_conv.strides == 2


def test_visible_images_come_first(small_encoder):
    inputs = both(2, 3)
    together = small_encoder(dict(reversed(inputs.items()))).numpy()
    assert len(together) == 5
    np.testing.assert_allclose(together[:2], small_encoder({"visible": inputs["visible"]}), atol=1e-5)
    np.testing.assert_allclose(together[2:], small_encoder({"infrared": inputs["infrared"]}), atol=1e-5)


def test_two_streams_tell_the_modalities_apart_once_their_stems_differ(small_encoder):
    images = drawn_images(1)
    visible, infrared = (small_encoder({m: images}).numpy() for m in MODALITIES)
    np.testing.assert_array_equal(visible, infrared)  # stem_init="shared"
    kernel = small_encoder.stem_infrared.conv1.kernel
    before = kernel.numpy()
    kernel.assign(-before)
    assert np.abs(small_encoder({"infrared": images}).numpy() - visible).max() > 1e-3
    np.testing.assert_array_equal(small_encoder({"visible": images}), visible)
    kernel.assign(before)


def test_one_stream_treats_both_modalities_alike():
    encoder, images = Encoder("resnet10", "one"), drawn_images(1)
    encoder.build_from(96, 48)
    encoder.stem.bn1.beta.assign(np.random.RandomState(0).randn(32))
    visible, infrared = (encoder({m: images}).numpy() for m in MODALITIES)
    np.testing.assert_array_equal(visible, infrared)


def test_stems_keep_statistics_of_their_own_modality_and_the_trunk_of_both():
    encoder = Encoder("resnet10", "two")
    encoder.build_from(96, 48)
    inputs = both()
    stages = encoder.stages[0].blocks[0]
    encoder({"visible": inputs["visible"]}, training=True)
    assert np.any(encoder.stem_visible.bn1.moving_mean.numpy() != 0)
    assert np.all(encoder.stem_infrared.bn1.moving_mean.numpy() == 0)
    stem = encoder.stem_visible.conv1(inputs["visible"]).numpy().reshape(-1, 32)
    np.testing.assert_allclose(encoder.stem_visible.bn1.moving_mean, 0.1 * stem.mean(0), atol=1e-5)
    before = stages.bn1.moving_mean.numpy()
    encoder({"infrared": inputs["infrared"]}, training=True)
    assert np.any(stages.bn1.moving_mean.numpy() != before)


def test_one_stream_statistics_are_of_the_joint_batch():
    encoder, inputs = Encoder("resnet10", "one"), both(2, 3)
    encoder.build_from(96, 48)
    encoder(inputs, training=True)
    joint = encoder.stem.conv1(np.concatenate([inputs["visible"], inputs["infrared"]])).numpy()
    np.testing.assert_allclose(encoder.stem.bn1.moving_mean, 0.1 * joint.reshape(-1, 32).mean(0), atol=1e-5)


def weights_of(encoder):
    return {v.path: v.numpy() for v in encoder.variables}


def test_initial_weights_follow_the_seed_and_the_place_alone():
    def built(seed=0, stem_init="shared", stream="two"):
        encoder = Encoder("resnet10", stream, stem_init, seed=seed)
        encoder.build_from(96, 48)
        return weights_of(encoder)

    first, again, other = built(), built(), built(seed=1)
    assert all(np.array_equal(first[path], again[path]) for path in first)
    kernels = [path for path in first if path.endswith("kernel")]
    assert all(np.any(first[path] != other[path]) for path in kernels)
    values = [first[path].tobytes() for path in kernels]
    assert len(set(values)) == len(values) - 1  # all differ but the two stems
    stems = "encoder/stem_visible/conv1/kernel", "encoder/stem_infrared/conv1/kernel"
    np.testing.assert_array_equal(first[stems[0]], first[stems[1]])
    apart = built(stem_init="independent")
    assert np.any(apart[stems[0]] != apart[stems[1]])
    one = built(stream="one")
    shared = [path for path in kernels if "stem" not in path]
    assert all(np.array_equal(first[path], one[path]) for path in shared)
    np.testing.assert_array_equal(one["encoder/stem/conv1/kernel"], first[stems[0]])


def test_variables_have_readable_unique_paths(small_encoder):
    paths = [v.path for v in small_encoder.variables]
    assert len(set(paths)) == len(paths)
    assert paths[0] == "encoder/stem_visible/conv1/kernel"
    assert "encoder/layer2/0/downsample_bn/moving_variance" in paths
    assert "encoder/layer4/0/conv2/kernel" in paths
    assert not any("downsample" in path for path in paths if "/layer1/" in path)  # 32 -> 32 needs none


@pytest.mark.parametrize("stream", ["one", "two"])
def test_weights_survive_saving_exactly(tmp_path, stream):
    encoder = Encoder("resnet10", stream, "independent", seed=3)
    encoder.build_from(96, 48)
    encoder(both(), training=True)  # moves the moving statistics
    encoder.save_weights(tmp_path / "encoder.weights.h5")
    again = Encoder("resnet10", stream, seed=4)
    again.load_weights(tmp_path / "encoder.weights.h5")
    np.testing.assert_array_equal(again(both()), encoder(both()))
    before, after = weights_of(encoder), weights_of(again)
    assert all(np.array_equal(before[path], after[path]) for path in before)
    with h5py.File(tmp_path / "encoder.weights.h5") as file:
        stems = {"stem"} if stream == "one" else {"stem_visible", "stem_infrared"}
        assert set(file) - {"vars"} == stems | {"layer1", "layer2", "layer3", "layer4"}
        assert "conv1" in file["layer1/0"]


def test_weights_of_another_network_are_refused(tmp_path):
    one = Encoder("resnet10", "one")
    one.build_from(96, 48)
    one.save_weights(tmp_path / "one.weights.h5")
    with pytest.raises(ValueError, match="could not be loaded"):
        Encoder("resnet10", "two").load_weights(tmp_path / "one.weights.h5")


def test_config_rebuilds_the_encoder():
    encoder = Encoder("resnet18", "two", "independent", seed=5, dtype="mixed_bfloat16")
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(encoder))
    assert again.get_config() == encoder.get_config()
    assert (again.backbone, again.stem_init, again.seed) == ("resnet18", "independent", 5)
    for one, other in zip(encoder.stages, again.stages, strict=True):
        assert one.get_config() == other.get_config()


def test_mixed_precision_runs_in_bfloat16_on_float32_weights():
    exact, mixed = Encoder("resnet10", dtype="float64"), Encoder("resnet10", dtype="mixed_bfloat16")
    exact.build()
    mixed.build()
    for own, given in zip(exact.weights, mixed.weights, strict=True):
        own.assign(given)
    found, expected = mixed(both(), training=True), exact(both(), training=True)
    assert found.dtype == tf.bfloat16
    assert {v.dtype for v in mixed.variables} == {"float32"}
    assert {block.dtype_policy.name for stage in mixed.stages for block in stage.blocks} == {"mixed_bfloat16"}
    moved = exact(images_moved_by_one_ulp(both(), "bfloat16", 0), training=True)
    spread = np.linalg.norm(moved - expected)
    assert 0.1 * spread < np.linalg.norm(tf.cast(found, tf.float64) - expected) < 3.0 * spread


def test_the_global_policy_reaches_every_layer():
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        encoder = Encoder("resnet10")
    finally:
        keras.mixed_precision.set_global_policy("float32")
    assert encoder(both()).dtype == tf.bfloat16


def test_graph_eager_and_xla_agree():
    encoder, inputs = Encoder("resnet10", dtype="float64"), both()
    eager = encoder(inputs).numpy()
    for jit_compile in (False, True):
        graph = tf.function(lambda x: encoder(x, training=False), jit_compile=jit_compile, autograph=False)
        np.testing.assert_allclose(graph(inputs), eager, rtol=1e-9, atol=1e-9)


def test_every_trainable_variable_has_a_gradient(small_encoder):
    variables = [v.value for v in small_encoder.trainable_variables]
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(small_encoder(both(), training=True) ** 2)
    gradients = tape.gradient(loss, variables)
    assert all(g is not None and np.any(g.numpy() != 0) for g in gradients)


def test_bad_arguments_say_what_was_expected(small_encoder):
    with pytest.raises(ValueError, match="backbone='resnet101'; expected one of resnet10"):
        Encoder("resnet101")
    with pytest.raises(ValueError, match="stream='three'; expected one of one, two"):
        Encoder("resnet10", "three")
    with pytest.raises(ValueError, match=r"100x48 pixels .* expected multiples of 16"):
        Encoder("resnet10").build_from(100, 48)
    with pytest.raises(ValueError, match=r"inputs \['labels', 'visible'\]; expected a dict"):
        small_encoder({"visible": drawn_images(1), "labels": np.zeros((2, 1), "float32")})
    with pytest.raises(ValueError, match=r"inputs \[\]; expected a dict"):
        small_encoder({})


def test_the_trunk_can_stop_after_a_stage(small_encoder):
    encoder, images = small_encoder, both(2, 1, 96, 48)
    x = [encoder.stems[m](images[m], training=False) for m in MODALITIES]
    x = tf.concat(x, axis=0)
    for stage in encoder.stages:
        x = stage(x, training=False)
        np.testing.assert_array_equal(encoder(images, training=False, until=stage.name), x)
        assert encoder.stages_until(stage.name)[-1].num_features == x.shape[-1]
    np.testing.assert_array_equal(encoder(images, training=False), x)
    with pytest.raises(
        ValueError, match="got until='layer5'; expected one of layer1, layer2, layer3, layer4"
    ):
        encoder(images, until="layer5")


def test_stages_beyond_are_left_alone():
    encoder = Encoder("resnet10")
    encoder.build_from(96, 48)
    before = {weight.path: weight.numpy() for weight in encoder.weights}
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(encoder(both(2, 2, 96, 48), training=True, until="layer2"))
    gradients = tape.gradient(total, encoder.trainable_variables)
    beyond = ("encoder/layer3", "encoder/layer4")
    for variable, gradient in zip(encoder.trainable_variables, gradients, strict=True):
        assert (gradient is None) == variable.path.startswith(beyond), variable.path
    still = {weight.path for weight in encoder.weights if np.array_equal(weight, before[weight.path])}
    assert {path for path in still if "moving" in path} == {
        path for path in before if path.startswith(beyond) and "moving" in path
    }


def test_tiles_of_no_multiple_of_the_stride_round_up(small_encoder):
    """Spec: an 84x42 tile gives 42x21, 21x11, 21x11, 11x6, 6x3, 6x3."""
    tile, sizes = {"visible": drawn_images(1, 3, 84, 42)}, []
    for stage in small_encoder.stages:
        sizes.append(tuple(small_encoder(tile, until=stage.name).shape[1:3]))
    assert sizes == [(21, 11), (11, 6), (6, 3), (6, 3)]
    assert tuple(small_encoder.stem_visible.conv1(tile["visible"]).shape[1:3]) == (42, 21)
    small = small_encoder({"visible": drawn_images(1, 3, 28, 14)})
    assert small.shape == (3, 2, 1, 256)


def test_backbones_are_the_choices_of_the_flag():
    choices = {entry.name: entry.metadata["choices"] for _, entry in settings()}
    assert set(choices["backbone"]) == set(BACKBONES)
