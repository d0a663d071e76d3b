import re

import ml_dtypes
import numpy as np
import pytest

from mmgl_tf.backbones import Encoder
from mmgl_tf.finetuning.embedder import Embedder
from mmgl_tf.interchange.fill import fill
from mmgl_tf.interchange.recognise import recognise
from mmgl_tf.interchange.stored_tensor import StoredTensor
from tests.mmgl_tf.interchange.filling import filled, stored
from tests.mmgl_tf.interchange.state_dicts import RESNET10, RESNET50, resnet_shapes, torchvision, two_stream
from tests.mmgl_tf.interchange.torch_file import View
from tests.mmgl_tf.reference_weights import assign_by_recipe, reference_key


def encoder_of(stream="two"):
    encoder = Encoder("resnet10", stream, seed=4)
    encoder.build_from(96, 48)
    return encoder


def embedder_of(width=0):
    embedder = Embedder(encoder_of(), non_local_width=width, gem_power=3.0 if width else 0.0)
    embedder.build_from(96, 48)
    return embedder


@pytest.mark.parametrize("stream", ["one", "two"])
def test_a_torchvision_network_fills_either_encoder(stream):
    encoder = encoder_of(stream)
    report = filled(torchvision(RESNET10), encoder)
    # Against a table of names written for other tests: the stems have no owner in torchvision.
    other = encoder_of(stream)
    owners = ("visible_module.visible.", "thermal_module.thermal.", "base_resnet.base.")

    def key(path):
        name = reference_key(path.replace("/stem/", "/stem_visible/"))
        for owner in owners:
            name = name.removeprefix(owner)
        return name

    assign_by_recipe(other.variables, key)
    for found, expected in zip(encoder.variables, other.variables, strict=True):
        np.testing.assert_array_equal(found, expected, err_msg=found.path)
    assert set(report.matched) == set(resnet_shapes(RESNET10))
    copies = report.matched["conv1.weight"]
    assert len(copies) == {"one": 1, "two": 2}[stream]
    assert report.unexpected["heads"] == ["fc.weight", "fc.bias"]
    assert len(report.unexpected["counters"]) == 12
    assert set(report.unexpected) == {"heads", "counters"}
    said = " ".join(report.lines())
    assert f"{len(report.matched)} tensors matched, 0 missing, 14 unexpected" in said
    assert ("both stems are a copy of it" in said) == (stream == "two")


@pytest.mark.parametrize(("method", "width"), [("two_stream", 0), ("agw", 1)])
def test_a_fine_tuned_network_fills_an_embedder(method, width):
    embedder, other = embedder_of(width), embedder_of(width)
    report = filled(two_stream(RESNET10, method, offset=False), embedder.encoder, embedder)
    assign_by_recipe(other.variables, small_key)
    for found, expected in zip(embedder.variables, other.variables, strict=True):
        np.testing.assert_array_equal(found, expected, err_msg=found.path)
    assert report.unexpected["heads"] == ["classifier.weight"]
    assert set(report.unexpected) == {"heads", "unused copies"} and report.notes == ()
    assert not any(name in report.matched for name in report.unexpected["unused copies"])


def test_used_and_unused_tensors_are_as_many_as_the_reference_has():
    tensors = {name: value for name, value in two_stream(RESNET50).items() if "running" not in name}
    unused = [name for name, value in tensors.items() if isinstance(value, View)]
    assert (len(tensors) - len(unused), len(unused)) == (165, 315)


def test_an_offset_of_the_neck_moves_into_its_mean_and_the_function_stays():
    embedder = embedder_of()
    tensors = two_stream(RESNET10)
    report = filled(tensors, embedder.encoder, embedder)
    assert "moving mean, the same function" in report.notes[0]
    x = np.random.default_rng(0).normal(size=(5, 256)).astype("float32")
    weight, bias, mean, variance = (
        tensors[f"bottleneck.{leaf}"].astype("f8")
        for leaf in ("weight", "bias", "running_mean", "running_var")
    )
    assert abs(bias).max() > 0.01
    expected = (x - mean) / np.sqrt(variance + 1e-5) * weight + bias
    np.testing.assert_allclose(embedder.neck(x), expected, atol=2e-6)


def test_an_offset_without_a_scale_is_refused():
    embedder = embedder_of()
    tensors = two_stream(RESNET10)
    tensors["bottleneck.weight"][3] = 0
    with pytest.raises(ValueError, match=r"bottleneck\.bias is not 0 where bottleneck\.weight is 0"):
        filled(tensors, embedder.encoder, embedder)
    tensors["bottleneck.bias"][3] = 0
    filled(tensors, embedder.encoder, embedder)
    assert np.isfinite(embedder.neck.moving_mean).all()


def test_a_pre_trained_two_stream_network_gives_an_encoder():
    tensors = two_stream(RESNET10) | {
        "fc1.weight": np.zeros((36, 256), "f"),
        "local_conv_list.0.0.bias": np.zeros(2, "f"),
    }
    encoder = encoder_of()
    report = filled(tensors, encoder)
    other = encoder_of()
    assign_by_recipe(other.variables)
    for found, expected in zip(encoder.variables, other.variables, strict=True):
        np.testing.assert_array_equal(found, expected, err_msg=found.path)
    heads = set(report.unexpected["heads"])
    assert {"fc1.weight", "local_conv_list.0.0.bias", "classifier.weight", "bottleneck.bias"} <= heads
    assert "unknown" not in report.unexpected


@pytest.mark.parametrize("dtype", ["float16", "float64", ml_dtypes.bfloat16])
def test_other_floating_types_are_converted(dtype):
    tensors = {n: v.astype(dtype) if v.dtype == "f" else v for n, v in torchvision(RESNET10).items()}
    encoder = encoder_of()
    filled(tensors, encoder)
    kernel = tensors["layer2.0.conv1.weight"].astype("float32").transpose(2, 3, 1, 0)
    np.testing.assert_array_equal(encoder.layer2.blocks[0].conv1.kernel, kernel)


def small_key(path):
    """`reference_key` for stages of one block, where the first non-local block follows block 0."""
    return reference_key(path.replace("layer2_0/", "layer2_2/").replace("layer3_0/", "layer3_3/"))


def without(name):
    return lambda tensors: tensors.pop(name)


def with_tensor(name, value):
    return lambda tensors: tensors.update({name: value})


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (
            without("layer3.0.bn2.running_mean"),
            r"59 of 60 tensors match, 1 missing: layer3\.0\.bn2\.running_mean",
        ),
        (without("conv1.weight"), "behind a stem of 0"),
        (without("layer2.0.downsample.1.bias"), r"1 missing: layer2\.0\.downsample\.1\.bias"),
        (
            with_tensor("layer1.0.se.fc1.weight", np.zeros(3, "f")),
            r"1 of another architecture: layer1\.0\.se",
        ),
        (
            with_tensor("layer1.0.conv1.bias", np.zeros(32, "f")),
            r"1 of another architecture: layer1\.0\.conv1\.bias",
        ),
        (with_tensor("conv1.0.weight", np.zeros(3, "f")), r"1 of another architecture: conv1\.0\.weight"),
        (
            with_tensor("bn1.bias", np.zeros(33, "f")),
            r"does not fit: bn1\.bias has shape \(33,\); expected \(32,\)",
        ),
        (
            with_tensor("layer1.0.conv2.weight", np.zeros((32, 3, 3, 32), "f")),
            r"layer1\.0\.conv2\.weight has shape \(32, 3, 3, 32\); expected \(32, 32, 3, 3\)",
        ),
        (
            with_tensor("bn1.bias", np.zeros(32, "i8")),
            r"cannot be used: bn1\.bias is int64; expected weights",
        ),
        (
            with_tensor("layer2.0.bn1.running_var", np.linspace(-1, 63, 64, dtype="f")),
            r"layer2\.0\.bn1\.running_var has 1 of 64 variances below 0",
        ),
        (
            with_tensor("bn1.bias", np.full(32, np.nan, "f")),
            r"bn1\.bias has 32 of 32 numbers that are not finite",
        ),
    ],
)
def test_what_does_not_fill_the_encoder_changes_nothing(change, reason):
    encoder, other = encoder_of(), encoder_of()
    tensors = torchvision(RESNET10)
    change(tensors)
    with pytest.raises(ValueError, match=reason):
        filled(tensors, encoder)
    assert all(np.array_equal(a, b) for a, b in zip(encoder.variables, other.variables, strict=True))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (without("bottleneck.bias"), r"1 missing: bottleneck\.bias"),
        (without("NL_2.0.W.1.running_var"), r"1 missing: NL_2\.0\.W\.1\.running_var"),
        (
            without("thermal_module.thermal.conv1.weight"),
            r"1 missing: thermal_module\.thermal\.conv1\.weight",
        ),
        (
            with_tensor("wpa.fc1.weight", np.zeros((3, 3), "f")),
            r"1 of another architecture: wpa\.fc1\.weight",
        ),
        (with_tensor("NL_4.0.theta.weight", np.zeros((1, 9, 1, 1), "f")), r"architecture: NL_4\.0"),
        (
            with_tensor("bottleneck.bias", np.zeros(9, "f")),
            r"bottleneck\.bias has shape \(9,\); expected \(256,\)",
        ),
        (
            with_tensor("bottleneck.running_var", np.full(256, -1e-6, "f")),
            r"bottleneck\.running_var has 256 of 256 variances below 0",
        ),
        (
            with_tensor("bottleneck.weight", np.full(256, 1e-44, "f")),
            r"bottleneck\.bias is too large for bottleneck\.weight",
        ),
    ],
)
def test_what_does_not_fill_the_embedder_changes_nothing(change, reason):
    embedder, other = embedder_of(1), embedder_of(1)
    tensors = two_stream(RESNET10, "agw")
    change(tensors)
    with pytest.raises(ValueError, match=reason):
        filled(tensors, embedder.encoder, embedder)
    assert all(np.array_equal(a, b) for a, b in zip(embedder.variables, other.variables, strict=True))


@pytest.mark.parametrize("name", ["base_resnet.base.layer4.0.bn2.bias", "bottleneck.bias"])
def test_nothing_is_read_before_every_shape_fits(name):
    def read():
        raise AssertionError("was read")

    tensors = stored(two_stream(RESNET10))
    tensors = {n: StoredTensor((9,) if n == name else t.shape, t.dtype, read) for n, t in tensors.items()}
    embedder = embedder_of()
    found = recognise({n: t.shape for n, t in tensors.items()})
    with pytest.raises(ValueError, match=rf"does not fit: {name} has shape \(9,\)"):
        fill(found, tensors, embedder.encoder, embedder)


def test_names_are_printed_without_what_a_terminal_obeys():
    names = ["head.\x1b[31m", "head.\udc80", "head.\u202e"]
    tensors = torchvision(RESNET10) | dict.fromkeys(names, np.zeros(2, "f"))
    (line,) = [line for line in filled(tensors, encoder_of()).lines() if "unknown" in line]
    assert line == r"3 unknown: head.\x1b[31m, head.\udc80, head.\u202e"
    for prefix in ("\x1b", "\udc80"):
        below = {f"{prefix}.{name}": value for name, value in torchvision(RESNET10).items()}
        assert recognise({n: v.shape for n, v in below.items()}).name.isprintable()
        below[f"{prefix}.bn1.bias"] = np.zeros(3, "f")
        with pytest.raises(ValueError, match="does not fit") as error:
            filled(below, encoder_of())
        assert str(error.value).isprintable() and str(error.value).isascii()


@pytest.mark.parametrize(
    "name", ["MAM3.channel_attention.0.weight", "cam_512.gamma", "layer2.0.se.fc1.weight"]
)
def test_what_is_not_known_within_the_trunk_makes_it_another_network(name):
    """As MPANet's attention between the stages: without it the rest is no network that was ever trained."""
    tensors = {f"backbone.{own}": value for own, value in torchvision(RESNET10).items()}
    tensors[f"backbone.{name}"] = np.zeros((2, 2, 1, 1), "f")
    with pytest.raises(ValueError, match=rf"1 of another architecture: backbone\.{re.escape(name)}"):
        filled(tensors, encoder_of())
    beside = {own: value for own, value in tensors.items() if not own.endswith(name)}
    beside["visible_classifier.weight"] = np.zeros((2, 2), "f")
    assert filled(beside, encoder_of()).unexpected["unknown"] == ["visible_classifier.weight"]


@pytest.mark.parametrize(
    "name", ["MAM4.spatial_attention.weight", "cam_32._cam_module.gamma", "NL_2.0.theta.weight", "adapter.w"]
)
def test_nor_is_it_a_plain_one_where_the_trunk_has_no_prefix(name):
    tensors = torchvision(RESNET10) | {name: np.zeros((2, 2), "f")}
    with pytest.raises(ValueError, match=rf"1 of another architecture: {re.escape(name)}"):
        filled(tensors, encoder_of())


def test_attention_is_found_beside_a_trunk_with_a_prefix():
    tensors = {f"base.{own}": value for own, value in torchvision(RESNET10).items()}
    tensors["cam_32._cam_module.gamma"] = np.zeros(1, "f")
    with pytest.raises(ValueError, match="1 of another architecture: cam_32"):
        filled(tensors, encoder_of())


@pytest.mark.parametrize("name", ["NL_2.0.theta.weight", "visible_module.visible.att.weight"])
def test_nor_is_a_two_stream_file_with_attention_an_encoder_alone(name):
    tensors = {own: v for own, v in two_stream(RESNET10).items() if not own.startswith("bottleneck.")}
    tensors[name] = np.zeros((2, 2), "f")
    with pytest.raises(ValueError, match=rf"1 of another architecture: {re.escape(name)}"):
        filled(tensors, encoder_of("two"))


def test_heads_that_are_not_known_are_listed_beside_an_encoder():
    tensors = torchvision(RESNET10) | {"head.mlp.0.weight": np.zeros((2, 2), "f")}
    assert filled(tensors, encoder_of()).unexpected["unknown"] == ["head.mlp.0.weight"]
    below = {f"encoder_q.{name}": value for name, value in torchvision(RESNET10).items()}
    assert filled(below, encoder_of()).unexpected["heads"] == ["encoder_q.fc.weight", "encoder_q.fc.bias"]
