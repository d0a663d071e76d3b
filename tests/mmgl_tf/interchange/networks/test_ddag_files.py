"""DDAG's files: what they hold, and that what they fill says what the file's numbers say."""

import numpy as np
import pytest

from mmgl_tf.backbones import Encoder
from mmgl_tf.finetuning.part_embedder import PartEmbedder
from mmgl_tf.interchange.recognise import recognise
from tests.mmgl_tf.interchange.filling import behind_neck, filled, shapes_of
from tests.mmgl_tf.interchange.state_dicts import RESNET10, ddag, two_stream
from tests.mmgl_tf.serving.trained_embedder import images

SIZE = (96, 48)


def embedder_of(parts=3):
    embedder = PartEmbedder(Encoder("resnet10", "two"), parts)
    embedder.build_from(*SIZE)
    return embedder


@pytest.fixture(scope="module")
def untouched():
    return embedder_of()


def softmax(x):
    x = np.exp(x - x.max(axis=-1, keepdims=True))
    return x / x.sum(axis=-1, keepdims=True)


def aggregated(feature_map, feature, tensors, parts):
    """The released layer in PyTorch's layouts, in front of its neck: float64 [B, C]."""
    rows = np.array_split(feature_map.transpose(0, 3, 1, 2).astype("f8"), parts, axis=2)
    stripes = np.stack([row.mean(axis=(2, 3)) for row in rows], axis=2)  # [B, C, P]
    query, key, value = (
        np.einsum("oc,bcp->bop", tensors[f"wpa.{name}.weight"][..., 0, 0], stripes)
        + tensors[f"wpa.{name}.bias"][:, None]
        for name in ("fc1.0", "fc2", "fc3")
    )
    refined = np.einsum("bpq,bcq->bcp", softmax(np.einsum("bcp,bcq->bpq", query, key)), value)
    return refined @ softmax(tensors["wpa.gate"]) + feature


@pytest.mark.parametrize("parts", [2, 3])
def test_the_features_are_those_of_the_file_s_numbers(parts):
    tensors, embedder = ddag(RESNET10, parts=parts), embedder_of(parts)
    report = filled(tensors, embedder.encoder, embedder)
    batch = {"visible": images(2), "infrared": images(2, seed=1)}
    found, feature_map = embedder(batch), embedder.feature_map(batch).numpy()
    neck = behind_neck(feature_map.mean(axis=(1, 2)), tensors, "bottleneck.")
    np.testing.assert_allclose(found["neck"], neck, rtol=1e-4, atol=1e-5)
    before = aggregated(feature_map, neck, tensors, parts)
    expected = behind_neck(before, tensors, "wpa.bottleneck.")
    np.testing.assert_allclose(found["attention"], expected, rtol=1e-4, atol=1e-5)
    assert [note.split()[5] for note in report.notes] == ["bottleneck.bias,", "wpa.bottleneck.bias,"]


def test_its_trunk_is_the_two_stream_base_s():
    one, other = embedder_of(), embedder_of()
    filled(ddag(RESNET10), one.encoder, one)
    base = {n: v for n, v in two_stream(RESNET10).items() if not n.startswith("bottleneck.")}
    filled(base, other.encoder)
    for a, b in zip(one.encoder.variables, other.encoder.variables, strict=True):
        np.testing.assert_array_equal(a, b)


def test_what_is_left_is_counted_by_kind():
    tensors, embedder = ddag(RESNET10), embedder_of()
    extra = set(tensors) - set(two_stream(RESNET10))
    assert len(extra) == 29, "as many as the released network has"
    report = filled(tensors | {"wpa.W.1.num_batches_tracked": np.array(3)}, embedder.encoder, embedder)
    left = {why: set(names) for why, names in report.unexpected.items()}
    assert set(left) == {"counters", "unused copies", "unused layers", "heads"}
    assert left["unused layers"] == {name for name in extra if name.startswith("wpa.W.")}
    assert {"classifier.weight", "classifier2.weight", "attention_3.a", "out_att.W"} <= left["heads"]
    assert set(report.matched) | set().union(*left.values()) >= set(tensors)


def test_the_file_tells_method_and_parts():
    found = recognise(shapes_of(ddag(RESNET10, parts=5)))
    assert (found.method, found.stems, found.backbone) == ("ddag", 2, "resnet10")
    assert (found.settings, found.methods) == ({"ddag_parts": 5}, ("ddag",))


@pytest.mark.parametrize("shape", [(), (3, 1), (0,), (65,), (2**40,)])
def test_a_gate_of_no_sensible_size_is_refused_before_anything_is_built(shape):
    with pytest.raises(ValueError, match=r"holds wpa\.gate of the shape .* at most 64"):
        recognise(shapes_of(ddag(RESNET10)) | {"wpa.gate": shape})


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("wpa.fc4.weight", np.zeros((2, 2), "f"), r"1 of another architecture: wpa\.fc4\.weight"),
        ("NL_2.0.theta.weight", np.zeros((1, 64, 1, 1), "f"), r"of another architecture: NL_2\.0"),
        ("wpa.fc2.weight", None, r"1 missing: wpa\.fc2\.weight"),
        ("wpa.bottleneck.bias", None, r"1 missing: wpa\.bottleneck\.bias"),
        (
            "wpa.fc3.weight",
            np.zeros((128, 256, 1, 1), "f"),
            r"wpa\.fc3\.weight has shape \(128, 256, 1, 1\); expected \(256, 256\)",
        ),
        ("wpa.bottleneck.weight", np.zeros(256, "f"), r"wpa\.bottleneck\.bias is not 0 where wpa\.bottle"),
    ],
)
def test_what_does_not_fit_changes_nothing(untouched, name, value, reason):
    tensors, before = ddag(RESNET10), [variable.numpy() for variable in untouched.variables]
    tensors.pop(name, None)
    tensors |= {} if value is None else {name: value}
    with pytest.raises(ValueError, match=reason):
        filled(tensors, untouched.encoder, untouched)
    assert all(np.array_equal(a, b) for a, b in zip(untouched.variables, before, strict=True))
