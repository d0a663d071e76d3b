"""Networks of the reference repositories' methods become runs: which settings, sizes and labels they get."""

import json

import numpy as np
import pytest
from safetensors.numpy import load_file

from mmgl_tf.backbones import Encoder
from mmgl_tf.backbones.pooled_encoder import PooledEncoder
from mmgl_tf.flags.methods import preset_of
from mmgl_tf.flags.reading import configs_of
from mmgl_tf.modes.exchange.export_safetensors import export_safetensors
from mmgl_tf.modes.exchange.import_checkpoint import import_checkpoint
from mmgl_tf.modes.saved_run import is_finetuned, load_embedder, run_settings, start_encoders
from tests.mmgl_tf.backbones.golden_images import drawn_images
from tests.mmgl_tf.interchange.state_dicts import (
    RESNET10,
    RESNET50,
    ddag,
    mpanet,
    torchvision,
    two_stream,
    vcd,
)
from tests.mmgl_tf.interchange.torch_file import write
from tests.modes.small_run import settings as settings_of
from tests.modes.small_run import write_run

SMALL = {"image_height": 96, "image_width": 48}
# As each repository saves it.
TREES = {
    "ddag": lambda **options: {"net": ddag(RESNET10, copies=False, **options), "cmc": 0.5, "epoch": 30},
    "mpanet": lambda **options: mpanet(RESNET10, patterns=3, modules=("MAM4",), **options),
    "vcd": lambda **options: {"model": vcd(RESNET10, **options), "epoch": 200, "best_top1": 0.6},
}
TOLD = {
    "ddag": {"stream": "two", "ddag_parts": 3, "resize": "lanczos", "image_height": 288, "image_width": 144},
    "mpanet": {"stream": "one", "mpanet_patterns": 3, "mpanet_alleviation": "last", "resize": "bilinear"}
    | {"image_height": 384, "image_width": 128},
    "vcd": {"stream": "one", "resize": "bilinear", "image_height": 256, "image_width": 128},
}
FEATURES = {"ddag": ("attention", 256), "mpanet": ("neck", 1024), "vcd": ("neck", 1024)}


def imported(root, tree, **typed):
    """The settings of the run that an import makes."""
    path = write(root / "checkpoint.pth", tree)
    (config,) = configs_of({"mode": "import", "checkpoint": str(path), "workdir": str(root / "run"), **typed})
    assert import_checkpoint(config) == 0
    return run_settings(root / "run")


def refused(root, tree, reason, **typed):
    with pytest.raises(ValueError, match=reason):
        imported(root, tree, **typed)
    assert not (root / "run").exists()


def looking_at(run, mode="export", **typed):
    (config,) = configs_of({"mode": mode, "init": str(run), **typed})
    return config


@pytest.fixture(scope="module", params=TREES)
def of_method(request, tmp_path_factory):
    """(method, its settings, run directory) of an import with nothing typed."""
    root = tmp_path_factory.mktemp(request.param)
    return request.param, imported(root, TREES[request.param]()), root / "run"


def test_a_network_is_a_run_of_its_method(of_method):
    method, settings, run = of_method
    told = TOLD[method] | {"method": method, "backbone": "resnet10", "mode": "import"}
    assert {name: settings[name] for name in told} == told
    assert is_finetuned(run) and "dataset" not in settings
    report = json.loads((run / "import.json").read_text())
    assert (report["method"], report["missing"]) == (method, [])
    assert set(report["unexpected"]) <= {"unused layers", "unused copies", "heads"}
    assert report["facts"].get("epoch") == {"ddag": 30, "mpanet": None, "vcd": 200}[method]
    embedder, _ = load_embedder(looking_at(run), "last")
    name, size = FEATURES[method]
    assert (embedder.FEATURES[0], embedder.feature_sizes[name]) == (name, size)
    # What eval and embed read of the images follows from the run.
    config = looking_at(run, "embed", images="somewhere")
    assert (config.data.image_height, config.data.resize) == (told["image_height"], told["resize"])


def test_fine_tuning_starts_from_its_encoder(of_method):
    method, _, run = of_method
    stream = TOLD[method]["stream"]
    encoder = Encoder("resnet10", stream, seed=5)
    encoder.build_from(96, 48)
    (config,) = configs_of({"mode": "finetune", "init": str(run), "backbone": "resnet10"})
    lines = start_encoders(PooledEncoder(encoder), config)
    count = {"one": 60, "two": 65}[stream]
    assert lines[1] == f"{count} tensors matched, 0 missing, 0 dropped"
    embedder, _ = load_embedder(looking_at(run), "last")
    for found, expected in zip(encoder.variables, embedder.encoder.variables, strict=True):
        np.testing.assert_array_equal(found, expected)


def test_it_goes_out_whole_with_its_reference_s_names(of_method, tmp_path, capsys):
    _, _, run = of_method
    path = tmp_path / "network.safetensors"
    assert export_safetensors(looking_at(run, safetensors="network", workdir=str(tmp_path))) == 0
    assert "no place there" not in capsys.readouterr().out
    tensors = load_file(path)
    matched = json.loads((run / "import.json").read_text())["matched"]
    assert set(tensors) == set(matched), "all that was brought in, and nothing else"


@pytest.mark.parametrize(("method", "reason"), [("nfs", "no code of NFS.* is public"), ("", "no fine-tuned")])
def test_what_has_no_reference_does_not_go_out_whole(tmp_path, method, reason):
    if method:
        config = settings_of(method=method, workdir=str(tmp_path / "run"))
        write_run(tmp_path / "run", config, embedders=["last"])
    else:
        imported(tmp_path, torchvision(RESNET10), **SMALL)
    config = looking_at(tmp_path / "run", safetensors="network", workdir=str(tmp_path / "out"))
    with pytest.raises(ValueError, match=f"--safetensors=network: .*{reason}.*give visible"):
        export_safetensors(config)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("typed", "identities", "size"),
    [
        ({}, 395, (384, 128)),
        ({}, 206, (256, 128)),
        ({"dataset": "regdb"}, 0, (256, 128)),
        ({"image_height": 288}, 206, (288, 128)),
        ({"image_height": 288, "image_width": 144}, 395, (288, 144)),
        ({"preset": "demo"}, 395, (96, 48)),
    ],
)
def test_image_size_is_its_authors_for_that_many_people_unless_typed(tmp_path, typed, identities, size):
    settings = imported(tmp_path, TREES["mpanet"](identities=identities), **typed)
    assert (settings["image_height"], settings["image_width"]) == size
    assert settings["resize"] == "bilinear"
    assert settings.get("dataset") == typed.get("dataset")


def test_the_sizes_are_those_of_the_presets():
    """What the table above says is not said twice in the code."""
    assert preset_of("mpanet", "paper", "regdb")["image_height"] == 256
    assert preset_of("vcd", "paper", "regdb")["image_height"] == 256


def test_a_file_of_caj_is_agw_s_until_somebody_says_so(tmp_path, capsys):
    tree = {"net": two_stream(RESNET10, "agw", copies=False)}
    settings = imported(tmp_path, tree, **SMALL)
    assert (settings["method"], settings["flip"]) == ("agw", False)
    said = capsys.readouterr().out
    assert "a file of CAJ has the very same names" in said and "--method=caj" in said
    first, _ = load_embedder(looking_at(tmp_path / "run"), "last")
    settings = imported(tmp_path, tree, method="caj", **SMALL)
    assert (settings["method"], settings["flip"]) == ("caj", True), "as its authors test"
    said = capsys.readouterr().out
    assert "very same names" not in said and "two-stream here, called CAJ" in said
    again, _ = load_embedder(looking_at(tmp_path / "run"), "last")
    assert type(first) is type(again), "the same network, so the same function"
    for one, other in zip(first.variables, again.variables, strict=True):
        np.testing.assert_array_equal(one, other)
    assert looking_at(tmp_path / "run", "eval", dataset="sysu").evaluation.flip


def test_what_the_tensors_tell_cannot_be_said_otherwise(tmp_path):
    tree = TREES["mpanet"]()
    refused(tmp_path, tree, r"holds MPANet.*so --method=caj does not fit.*tell it, mpanet", method="caj")
    refused(tmp_path, two_stream(RESNET10), "--method=agw does not fit", method="agw")
    refused(tmp_path, tree, "one stem for both modalities, so --stream=two does not fit", stream="two")
    for name, value in (("mpanet_patterns", 6), ("mpanet_alleviation", "both"), ("ddag_parts", 3)):
        refused(tmp_path, tree, f"--{name} with --mode=import: the checkpoint tells it", **{name: value})


@pytest.mark.slow
def test_what_no_tensor_tells_can_be_said_for_its_own_method_alone(tmp_path):
    assert imported(tmp_path, TREES["ddag"](), ddag_residual="pool")["ddag_residual"] == "pool"
    (tmp_path / "other").mkdir()
    refused(
        tmp_path / "other", TREES["vcd"](), "VCD.*--ddag_residual says nothing about", ddag_residual="pool"
    )
    refused(tmp_path / "other", torchvision(RESNET10), "--gem_power says nothing about", gem_power=2.0)


def test_ddag_s_golden_numbers_come_out_of_a_checkpoint_file(tmp_path):
    imported(tmp_path, {"net": ddag(RESNET50)}, **SMALL)
    embedder, _ = load_embedder(looking_at(tmp_path / "run"), "last")
    found = embedder.embed({"visible": drawn_images(11)})
    assert found["attention"].numpy().sum() == pytest.approx(43.445987, rel=1e-5)
    first = [0.021786, -0.000708, 0.009228, -0.023899]
    np.testing.assert_allclose(found["attention"][0, :4], first, atol=2e-6)
    assert found["pool"].numpy().sum() == pytest.approx(62.863610, rel=1e-5)
    assert found["neck"].numpy().sum() == pytest.approx(62.603504, rel=1e-5)
