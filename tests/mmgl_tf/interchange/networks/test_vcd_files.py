"""VCD's files: what they hold, and that what they fill says what the file's numbers say."""

import numpy as np
import pytest

from mmgl_tf.backbones import Encoder
from mmgl_tf.finetuning.observing_embedder import ObservingEmbedder
from mmgl_tf.interchange.recognise import recognise
from tests.mmgl_tf.interchange.filling import assert_holds, behind_neck, filled, shapes_of
from tests.mmgl_tf.interchange.state_dicts import RESNET10, RESNET18, RESNET50, vcd, vcd_shapes
from tests.mmgl_tf.serving.trained_embedder import images

SIZE = (96, 48)
# The released order of the observations: whose encoder, and whether it looks at the grey image.
OBSERVATIONS = (("IR", True), ("shared", True), ("RGB", False), ("shared", False))
OURS = {"IR": "encoder_infrared", "shared": "encoder", "RGB": "encoder_visible"}


def embedder_of():
    embedder = ObservingEmbedder(Encoder("resnet10", "one"))
    embedder.build_from(*SIZE)
    return embedder


@pytest.fixture(scope="module")
def untouched():
    return embedder_of()


def attended(x, gamma):
    """The released module, channels as rows: [B, H, W, C] -> the same."""
    rows = x.reshape(len(x), -1, x.shape[-1]).transpose(0, 2, 1).astype("f8")
    energy = rows @ rows.transpose(0, 2, 1)
    weights = np.exp(energy.min(axis=-1, keepdims=True) - energy)
    weights /= weights.sum(axis=-1, keepdims=True)
    out = gamma * (weights @ rows) + rows
    return out.transpose(0, 2, 1).reshape(x.shape).astype("f")


def test_the_features_are_those_of_the_file_s_numbers():
    tensors, embedder = vcd(RESNET10), embedder_of()
    report = filled(tensors, embedder.encoder, embedder)
    for owner, name in OURS.items():
        assert_holds(getattr(embedder, name), tensors, f"{owner}_backbone.base.")
    batch = images(2)
    grey = np.repeat(batch @ np.array([[0.2989], [0.5870], [0.1140]], "f"), 3, axis=-1)
    pools, necks = [], []
    for owner, is_grey in OBSERVATIONS:
        encoder, prefix = getattr(embedder, OURS[owner]), f"{owner}_backbone."
        x = encoder.layer1(encoder.stem(grey if is_grey else batch))
        for stage, channels in (("layer2", 32), ("layer3", 64), ("layer4", 128)):
            x = attended(x.numpy(), tensors[f"{prefix}cam_{channels}._cam_module.gamma"])
            x = getattr(encoder, stage)(x)
        pools.append(x.numpy().mean(axis=(1, 2)))
        necks.append(behind_neck(pools[-1], tensors, f"{prefix}bottleneck."))
    found = embedder({"visible": batch})
    np.testing.assert_allclose(found["pool"], np.concatenate(pools, axis=1), rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(found["neck"], np.concatenate(necks, axis=1), rtol=1e-3, atol=1e-4)
    assert sum("has an offset" in note for note in report.notes) == 3
    assert "starts from one of the three encoders" in report.notes[-1]


def test_what_is_left_is_heads_and_dead_classifiers():
    tensors, embedder = vcd(RESNET10), embedder_of()
    counter = {"RGB_backbone.base.bn1.num_batches_tracked": np.array(3)}
    report = filled(tensors | counter, embedder.encoder, embedder)
    left = {why: len(names) for why, names in report.unexpected.items()}
    assert left == {"counters": 1, "unused layers": 6, "heads": 12}
    assert all(".base.fc." in name for name in report.unexpected["unused layers"])


def test_the_file_tells_method_and_backbone():
    found = recognise(shapes_of(vcd(RESNET10, identities=206)))
    assert (found.method, found.stems, found.backbone, found.settings) == ("vcd", 1, "resnet10", {})


def test_the_released_encoders_have_as_many_numbers():
    shapes = vcd_shapes(RESNET50, "IR_backbone.")
    count = sum(int(np.prod(shape)) for name, shape in shapes.items() if "running" not in name)
    assert count == 26_370_486 - 2_049_000 - (2048 + 1) * 395
    assert {n for n in shapes if "cam" in n} == {
        f"IR_backbone.cam_{channels}._cam_module.gamma" for channels in (256, 512, 1024)
    }


def test_encoders_that_differ_or_are_absent_are_refused():
    shapes = shapes_of(vcd(RESNET10))
    other = vcd_shapes(RESNET18, "RGB_backbone.")
    kept = {name: shape for name, shape in shapes.items() if not name.startswith("RGB_backbone.")}
    with pytest.raises(ValueError, match="three encoders that differ"):
        recognise(kept | other)
    with pytest.raises(ValueError, match=r"below RGB_backbone\.base\. holds a ResNet of \(\)"):
        recognise(kept)


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("IR_MIE.block.0.weight", np.zeros((2, 2), "f"), r"of another architecture: IR_MIE"),
        ("IR_backbone.base.cam.gamma", np.zeros(1, "f"), r"of another architecture: IR_backbone\.base\.cam"),
        ("shared_backbone.cam_256._cam_module.gamma", np.zeros(1, "f"), "architecture: shared_backbone"),
        ("shared_backbone.cam_32._cam_module.gamma", None, r"1 missing: shared_backbone\.cam_32"),
        ("RGB_backbone.bottleneck.bias", None, r"1 missing: RGB_backbone\.bottleneck\.bias"),
        ("RGB_backbone.cam_64._cam_module.gamma", np.zeros(2, "f"), r"has shape \(2,\); expected \(1,\)"),
    ],
)
def test_what_does_not_fit_changes_nothing(untouched, name, value, reason):
    tensors, before = vcd(RESNET10), [variable.numpy() for variable in untouched.variables]
    tensors.pop(name, None)
    tensors |= {} if value is None else {name: value}
    with pytest.raises(ValueError, match=reason):
        filled(tensors, untouched.encoder, untouched)
    assert all(np.array_equal(a, b) for a, b in zip(untouched.variables, before, strict=True))
