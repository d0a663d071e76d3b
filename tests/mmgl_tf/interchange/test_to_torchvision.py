import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file

from mmgl_tf.backbones import Encoder
from mmgl_tf.finetuning.embedder import Embedder
from mmgl_tf.finetuning.observing_embedder import ObservingEmbedder
from mmgl_tf.finetuning.part_embedder import PartEmbedder
from mmgl_tf.finetuning.pattern_embedder import PatternEmbedder
from mmgl_tf.interchange.checkpoint import open_checkpoint
from mmgl_tf.interchange.fill import fill
from mmgl_tf.interchange.recognise import network_of, recognise
from mmgl_tf.interchange.to_torchvision import write_network, write_torchvision
from tests.mmgl_tf.interchange.state_dicts import (
    RESNET10,
    RESNET18,
    ddag,
    mpanet,
    non_local_shapes,
    norm,
    resnet_shapes,
    two_stream,
    vcd,
)


def encoder_of(stream, seed, backbone="resnet10"):
    encoder = Encoder(backbone, stream, "independent", seed)
    encoder.build_from(96, 48)
    return shaken(encoder, seed)


def shaken(layer, seed):
    dice = np.random.default_rng(seed)
    for variable in layer.variables:
        variable.assign(variable + dice.uniform(0, 1, variable.shape).astype("f"))
    return layer


def embedder_of(width, seed):
    embedder = Embedder(encoder_of("two", seed), non_local_width=width)
    embedder.build_from(96, 48)
    return shaken(embedder, seed)


def read_back(path, encoder, embedder=None):
    with open_checkpoint(path) as checkpoint:
        found = recognise({name: tensor.shape for name, tensor in checkpoint.tensors.items()})
        return fill(found, checkpoint.tensors, encoder, embedder)


def same(first, second):
    return all(np.array_equal(a, b) for a, b in zip(first.variables, second.variables, strict=True))


@pytest.mark.parametrize("stem", ["visible", "infrared", "mean"])
def test_names_shapes_and_order_of_the_axes_are_torchvisions(tmp_path, stem):
    encoder = encoder_of("two", 1, "resnet18")
    path = tmp_path / "x.safetensors"
    assert write_torchvision(encoder, path, stem) == len(resnet_shapes(RESNET18))
    found = load_file(path)
    assert {name: value.shape for name, value in found.items()} == resnet_shapes(RESNET18)
    assert {value.dtype.name for value in found.values()} == {"float32"}
    stems = {m: layer.conv1.kernel.numpy() for m, layer in encoder.stems.items()}
    stems["mean"] = (stems["visible"] + stems["infrared"]) / 2
    np.testing.assert_array_equal(found["conv1.weight"][5, 2, 3, 1], stems[stem][3, 1, 2, 5])
    kernel = encoder.layer2.blocks[0].conv1.kernel.numpy()
    np.testing.assert_array_equal(found["layer2.0.conv1.weight"][7, 4, 2, 0], kernel[2, 0, 4, 7])
    block = encoder.layer2.blocks[0]
    np.testing.assert_array_equal(
        found["layer2.0.downsample.1.running_var"], block.downsample_bn.moving_variance
    )


def test_one_stem_comes_back_bit_by_bit(tmp_path):
    encoder, other = encoder_of("one", 1), encoder_of("one", 2)
    write_torchvision(encoder, tmp_path / "x.safetensors", "visible", about={"source": "a run"})
    read_back(tmp_path / "x.safetensors", other)
    assert same(encoder, other)
    with safe_open(tmp_path / "x.safetensors", "np") as file:
        assert file.metadata() == {
            "format": "pt",
            "architecture": "resnet10",
            "stem": "shared",
            "layer4_stride": "1",
            "source": "a run",
        }


def test_both_stems_come_back_bit_by_bit_from_the_fields_names(tmp_path):
    encoder, other = encoder_of("two", 1), encoder_of("two", 2)
    write_torchvision(encoder, tmp_path / "x.safetensors", "both")
    read_back(tmp_path / "x.safetensors", other)
    assert same(encoder, other)
    heads = ("bottleneck", "classifier")
    expected = {name for name in two_stream(RESNET10, copies=False) if not name.startswith(heads)}
    assert set(load_file(tmp_path / "x.safetensors")) == expected


@pytest.mark.parametrize("width", [0, 2])
def test_a_fine_tuned_network_comes_back_bit_by_bit(tmp_path, width):
    embedder, other = embedder_of(width, 1), embedder_of(width, 2)
    network = network_of("agw" if width else "two_stream", "resnet10", 2)
    write_network(network, embedder, tmp_path / "x.safetensors")
    report = read_back(tmp_path / "x.safetensors", other.encoder, other)
    assert same(embedder, other) and report.unexpected == {}
    shapes = {name: value.shape for name, value in load_file(tmp_path / "x.safetensors").items()}
    expected = norm("bottleneck", 256) | (non_local_shapes(RESNET10, width) if width else {})
    assert {name: shape for name, shape in shapes.items() if name[:2] in ("NL", "bo")} == expected


@pytest.mark.parametrize(
    ("method", "kind", "stream", "state_dict"),
    [
        ("ddag", PartEmbedder, "two", ddag),
        ("mpanet", PatternEmbedder, "one", mpanet),
        ("vcd", ObservingEmbedder, "one", vcd),
    ],
)
def test_networks_of_other_methods_come_back_bit_by_bit(tmp_path, method, kind, stream, state_dict):
    first, other = (kind(encoder_of(stream, seed)) for seed in (1, 2))
    for embedder in (first, other):
        embedder.build_from(96, 48)
    write_network(network_of(method, "resnet10", len(first.encoder.stems)), shaken(first, 1), tmp_path / "x")
    report = read_back(tmp_path / "x", other.encoder, other)
    assert same(first, other) and report.unexpected == {}
    # Names and shapes are the reference's own, but for what it never uses and the heads of training.
    shapes = {name: value.shape for name, value in state_dict(RESNET10).items()}
    assert {n: v.shape for n, v in load_file(tmp_path / "x").items()}.items() <= shapes.items()


def test_methods_without_a_public_network_have_no_names():
    assert network_of("nfs", "resnet10", 2) is None and network_of("one_stream", "resnet10", 1) is None


def test_a_stem_that_is_not_there_is_refused_and_nothing_written(tmp_path):
    path = tmp_path / "x.safetensors"
    with pytest.raises(ValueError, match=r"a one-stream encoder takes one of visible, infrared, mean$"):
        write_torchvision(encoder_of("one", 1), path, "both")
    with pytest.raises(ValueError, match="a two-stream encoder takes one of visible, infrared, mean, both"):
        write_torchvision(encoder_of("two", 1), path, "left")
    assert not path.exists()


def test_pytorch_computes_the_same_feature_map(tmp_path):
    torch = pytest.importorskip("torch")
    from safetensors.torch import load_file as load_torch

    encoder = encoder_of("one", 3, "resnet18")
    write_torchvision(encoder, tmp_path / "x.safetensors", "visible")
    state = load_torch(tmp_path / "x.safetensors")
    images = np.random.default_rng(0).normal(size=(2, 96, 48, 3)).astype("f")
    run = torch.nn.functional

    def norm_of(x, name):
        leaves = (state[f"{name}.{leaf}"] for leaf in ("running_mean", "running_var", "weight", "bias"))
        return run.batch_norm(x, *leaves, eps=1e-5)

    def conv(x, name, stride=1):
        kernel = state[f"{name}.weight"]
        return run.conv2d(x, kernel, stride=stride, padding=kernel.shape[-1] // 2)

    x = torch.from_numpy(images.transpose(0, 3, 1, 2).copy())
    x = run.max_pool2d(torch.relu(norm_of(conv(x, "conv1", 2), "bn1")), 3, 2, 1)
    for stage, stride in ((1, 1), (2, 2), (3, 2), (4, 1)):
        for block in range(2):
            place, step = f"layer{stage}.{block}", stride if block == 0 else 1
            y = torch.relu(norm_of(conv(x, f"{place}.conv1", step), f"{place}.bn1"))
            y = norm_of(conv(y, f"{place}.conv2"), f"{place}.bn2")
            if f"{place}.downsample.0.weight" in state:
                x = norm_of(conv(x, f"{place}.downsample.0", step), f"{place}.downsample.1")
            x = torch.relu(x + y)
    found = encoder({"visible": images}).numpy().transpose(0, 3, 1, 2)
    scale = abs(found).max()
    np.testing.assert_allclose(found / scale, x.numpy() / scale, atol=1e-5)
