import numpy as np
import pytest

from mmgl_tf.interchange.networks.two_stream import TWO_STREAM, TwoStreamNetwork
from mmgl_tf.interchange.recognise import recognise
from tests.mmgl_tf.interchange.state_dicts import (
    RESNET10,
    RESNET18,
    RESNET50,
    non_local_shapes,
    norm,
    resnet_shapes,
)

RESNET34 = RESNET18 | {"depths": (3, 4, 6, 3)}


def two_stream_shapes(plan=RESNET10):
    return {f"{owner}{name}": s for owner in TWO_STREAM.values() for name, s in resnet_shapes(plan).items()}


@pytest.mark.parametrize(
    ("backbone", "plan"),
    [("resnet10", RESNET10), ("resnet18", RESNET18), ("resnet34", RESNET34), ("resnet50", RESNET50)],
)
def test_the_backbone_is_told_from_the_tensors(backbone, plan):
    for prefix in ("", "backbone.", "encoder_q.0."):
        shapes = {f"{prefix}{name}": shape for name, shape in resnet_shapes(plan).items()}
        found = recognise(shapes | {"fc.weight": (1000, 512), "head.weight": (3, 3)})
        assert (found.backbone, found.stems, found.method) == (backbone, 1, "")
        assert found.prefix == prefix
    found = recognise(two_stream_shapes(plan))
    assert (found.backbone, found.stems, found.method) == (backbone, 2, "")
    assert isinstance(found, TwoStreamNetwork)


@pytest.mark.parametrize("width", [1, 4])
def test_the_method_is_told_from_neck_and_non_local_blocks(width):
    trunk, neck = two_stream_shapes(), norm("bottleneck", 256)
    found = recognise(trunk | neck)
    assert (found.method, found.settings) == ("two_stream", {})
    found = recognise(trunk | neck | non_local_shapes(RESNET10, width))
    assert (found.method, found.settings) == ("agw", {"non_local_width": width})


def test_non_local_blocks_wider_than_their_input_are_refused():
    shapes = two_stream_shapes() | norm("bottleneck", 256) | {"NL_2.0.theta.weight": (2**20, 1, 1, 1)}
    with pytest.raises(ValueError, match=r"theta has the shape \(1048576, 1, 1, 1\), wider than its input"):
        recognise(shapes)


@pytest.mark.parametrize("head", ["fc1.weight", "fc2.bias", "local_conv_list.0.0.weight"])
def test_a_pre_training_is_an_encoder_even_with_a_neck(head):
    shapes = two_stream_shapes() | norm("bottleneck", 256) | {head: (3,)}
    assert recognise(shapes).method == ""


@pytest.mark.parametrize(
    ("shapes", "reason"),
    [
        ({"visual.conv1.weight": (768, 3, 16, 16)}, "holds no ResNet, among 1 tensors such as"),
        ({}, "holds no ResNet, among 0 tensors"),
        (
            {f"{p}{n}": s for p in ("q.", "k.") for n, s in resnet_shapes(RESNET10).items()},
            r"holds 2 ResNets, below \['k\.', 'q\.'\]",
        ),
        (resnet_shapes(RESNET50 | {"depths": (3, 4, 23, 3)}), r"ResNet of \(3, 4, 23, 3\) bottleneck blocks"),
        (resnet_shapes(RESNET50 | {"widths": (128, 256, 512, 1024)}), r"\(128, 256, 512, 1024\) channels"),
        (
            resnet_shapes(RESNET18 | {"stem": (32, 7)}),
            "behind a stem of 32; that is none of resnet10, resnet18",
        ),
        (resnet_shapes(RESNET50 | {"depths": (3, 4, 6), "widths": (64, 128, 256)}), r"ResNet of \(3, 4, 6\)"),
        (
            {"base_resnet.base.layer1.0.conv1.weight": (64, 64, 1, 1)},
            r"ResNet of \(1,\) basic blocks of \(64,\)",
        ),
        ({"layer1.0.conv1.weight": ()}, "behind a stem of 0"),
        ({"visible_module.visible.conv1.weight": (64, 3, 7, 7)}, r"ResNet of \(\) basic"),
    ],
)
def test_other_networks_are_refused_with_a_reason(shapes, reason):
    with pytest.raises(ValueError, match=reason) as error:
        recognise(shapes)
    assert "Known are torchvision's or timm's ResNet-18, -34 and -50" in str(error.value)


def test_shapes_are_those_of_our_encoders():
    """The state dicts of these tests have as many numbers as the networks they stand for."""
    counts = {"resnet18": 11_176_512, "resnet50": 23_508_032}  # torchvision's, without fc
    for plan, name in ((RESNET18, "resnet18"), (RESNET50, "resnet50")):
        shapes = {n: s for n, s in resnet_shapes(plan).items() if "running" not in n}
        assert sum(int(np.prod(shape)) for shape in shapes.values()) == counts[name]
    assert len(shapes) == 159
