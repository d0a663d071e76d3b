"""MPANet's files: what they hold, and that what they fill says what the file's numbers say."""

import numpy as np
import pytest
import tensorflow as tf

from mmgl_tf.backbones import Encoder
from mmgl_tf.finetuning.pattern_embedder import PatternEmbedder
from mmgl_tf.interchange.recognise import recognise
from tests.mmgl_tf.interchange.filling import assert_holds, behind_neck, filled, shapes_of
from tests.mmgl_tf.interchange.state_dicts import RESNET10, RESNET50, mpanet, mpanet_shapes
from tests.mmgl_tf.serving.trained_embedder import images

SIZE = (96, 48)
MODULES = {"both": ("MAM3", "MAM4"), "last": ("MAM4",), "none": ()}


def embedder_of(patterns=3, alleviation="both"):
    embedder = PatternEmbedder(Encoder("resnet10", "one"), patterns, alleviation)
    embedder.build_from(*SIZE)
    return embedder


@pytest.fixture(scope="module")
def untouched():
    return embedder_of()


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def alleviated(x, tensors, module):
    """The released module in PyTorch's layouts, [B, H, W, C] -> the same."""
    squeeze, excite = (
        tensors[f"backbone.{module}.channel_attention.{i}.weight"][..., 0, 0].astype("f8") for i in (0, 2)
    )
    inner = np.maximum(np.einsum("oc,bc->bo", squeeze, x.mean(axis=(1, 2))), 0)
    share = sigmoid(np.einsum("oc,bc->bo", excite, inner))[:, None, None]
    spread = np.sqrt(x.var(axis=(1, 2), keepdims=True) + 1e-5)
    return share * x + (1 - share) * (x - x.mean(axis=(1, 2), keepdims=True)) / spread


@pytest.mark.parametrize("alleviation", MODULES)
def test_the_features_are_those_of_the_file_s_numbers(alleviation):
    modules = MODULES[alleviation]
    tensors, embedder = mpanet(RESNET10, patterns=3, modules=modules), embedder_of(3, alleviation)
    report = filled(tensors, embedder.encoder, embedder)
    assert_holds(embedder.encoder, tensors, "backbone.")
    batch, encoder = {"visible": images(2)}, embedder.encoder
    x = encoder.stem(tf.constant(batch["visible"]))
    for stage in encoder.stages:
        x = stage(x)
        module = f"MAM{stage.name[-1]}"
        if module in modules:
            x = alleviated(x.numpy().astype("f8"), tensors, module).astype("f")
    x = np.asarray(x, "f8")
    weight, bias = (tensors[f"spatial_attention.{leaf}"] for leaf in ("weight", "bias"))
    masks = sigmoid(np.einsum("pc,bhwc->bphw", weight[..., 0, 0], x) + bias[:, None, None])
    under = np.einsum("bphw,bhwc->bpc", masks, x) / np.prod(x.shape[1:3])
    pool = np.concatenate([under.reshape(len(x), -1), x.mean(axis=(1, 2))], axis=1)
    found = embedder(batch)
    np.testing.assert_allclose(found["pool"], pool, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(found["neck"], behind_neck(pool, tensors, "bn_neck."), rtol=1e-3, atol=1e-3)
    assert "bn_neck.bias" in report.notes[0] and len(report.notes) == 1


def test_what_is_left_is_heads_alone_and_an_offset_of_0_is_no_news():
    tensors, embedder = mpanet(RESNET10, patterns=3), embedder_of()
    tensors["bn_neck.bias"][:] = 0
    report = filled(tensors | {"bn_neck.num_batches_tracked": np.array(3)}, embedder.encoder, embedder)
    assert report.notes == () and set(report.unexpected) == {"counters", "heads"}
    assert set(report.unexpected["heads"]) == {name for name in tensors if "classifier" in name}
    assert len(report.unexpected["heads"]) == 5


@pytest.mark.parametrize("alleviation", MODULES)
def test_the_file_tells_method_patterns_and_modules(alleviation):
    tensors = mpanet(RESNET10, identities=206, patterns=4, modules=MODULES[alleviation])
    found = recognise(shapes_of(tensors))
    assert (found.method, found.stems, found.backbone, found.identities) == ("mpanet", 1, "resnet10", 206)
    assert found.settings == {"mpanet_patterns": 4, "mpanet_alleviation": alleviation}
    for left_out, identities in (("classifier.weight", 206), ("visible_classifier.weight", 0)):
        del tensors[left_out]
        assert recognise(shapes_of(tensors)).identities == identities


def test_the_released_network_has_as_many_numbers():
    shapes = {n: s for n, s in mpanet_shapes(RESNET50).items() if "running" not in n}
    assert sum(int(np.prod(shape)) for shape in shapes.values()) == 24_204_358
    assert recognise(mpanet_shapes(RESNET50)).backbone == "resnet50"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"spatial_attention.weight": ()}, r"spatial_attention\.weight of the shape \(\); expected"),
        ({"spatial_attention.weight": (1, 256, 1, 1)}, "each of 2 to 64 patterns"),
        ({"spatial_attention.weight": (2**30, 256, 1, 1)}, "each of 2 to 64 patterns"),
        ({"backbone.MAM2.channel_attention.0.weight": (2, 64)}, "MAM2, MAM3, MAM4; expected MAM3 and MAM4"),
        ({"backbone.layer1.0.conv1.weight": (7, 3)}, "that is none of resnet10"),
    ],
)
def test_shapes_that_are_none_of_its_are_refused_before_anything_is_built(changes, reason):
    with pytest.raises(ValueError, match=reason):
        recognise(mpanet_shapes(RESNET10) | changes)


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("backbone.MAM3.IN.weight", np.zeros(128, "f"), r"of another architecture: backbone\.MAM3\.IN"),
        ("backbone.fc.weight", np.zeros((9, 256), "f"), r"of another architecture: backbone\.fc"),
        ("visible_classifier__.weight", np.zeros(2, "f"), "of another architecture: visible_classifier__"),
        ("backbone.MAM4.channel_attention.2.weight", None, r"1 missing: backbone\.MAM4"),
        (
            "backbone.MAM4.channel_attention.0.weight",
            np.zeros((64, 256, 1, 1), "f"),
            r"has shape \(64, 256, 1, 1\); expected \(16, 256\)",
        ),
        ("bn_neck.running_var", np.ones(1792, "f"), r"has shape \(1792,\); expected \(1024,\)"),
    ],
)
def test_what_does_not_fit_changes_nothing(untouched, name, value, reason):
    tensors, before = mpanet(RESNET10, patterns=3), [variable.numpy() for variable in untouched.variables]
    tensors.pop(name, None)
    tensors |= {} if value is None else {name: value}
    with pytest.raises(ValueError, match=reason):
        filled(tensors, untouched.encoder, untouched)
    assert all(np.array_equal(a, b) for a, b in zip(untouched.variables, before, strict=True))
