import json

import numpy as np
import pytest

from mmgl_tf.backbones import Encoder
from mmgl_tf.backbones.pooled_encoder import PooledEncoder
from mmgl_tf.flags.reading import configs_of
from mmgl_tf.modes.exchange.export_safetensors import export_safetensors
from mmgl_tf.modes.exchange.import_checkpoint import import_checkpoint
from mmgl_tf.modes.saved_run import is_finetuned, load_embedder, run_settings, run_summary, start_encoders
from tests.mmgl_tf.backbones.golden_images import drawn_images
from tests.mmgl_tf.interchange.state_dicts import RESNET10, RESNET18, RESNET50, torchvision, two_stream
from tests.mmgl_tf.interchange.torch_file import Raw, write

# The reference's sums of unit-length pooled and neck features (spec 6.2), images of seeds 11 and 12.
GOLDEN = {
    "two_stream": {"visible": (62.863610, 62.603504), "infrared": (62.906217, 62.639115)},
    "agw": {"visible": (68.579868, 68.404692), "infrared": (67.627070, 67.478497)},
}
SMALL = {"image_height": 96, "image_width": 48}


def imported(root, tree, **typed):
    """The directory of an import."""
    root.mkdir(parents=True, exist_ok=True)
    path = write(root / "checkpoint.t", tree)
    typed = {"mode": "import", "checkpoint": str(path), "workdir": str(root / "run"), **typed}
    (config,) = configs_of(typed)
    assert import_checkpoint(config) == 0
    return root / "run"


def looking_at(run, mode="export", **typed):
    (config,) = configs_of({"mode": mode, "init": str(run), **typed})
    return config


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """An imported AGW on the smallest backbone."""
    tree = {"net": two_stream(RESNET10, "agw", offset=False), "epoch": 30, "mAP": 0.4}
    return imported(tmp_path_factory.mktemp("small"), tree, **SMALL)


@pytest.mark.parametrize("method", ["two_stream", "agw"])
def test_the_golden_numbers_come_out_of_a_checkpoint_file(tmp_path, capsys, method):
    run = imported(tmp_path, {"net": two_stream(RESNET50, method), "epoch": 30}, **SMALL)
    said = capsys.readouterr().out
    assert "0 missing" in said and "unused copies" in said and "classifier.weight" in said
    (tmp_path / "checkpoint.t").unlink()
    embedder, place = load_embedder(looking_at(run), "last")
    assert (place, embedder.FEATURES) == (None, ("neck", "pool"))
    for modality, (pool, neck) in GOLDEN[method].items():
        images = drawn_images({"visible": 11, "infrared": 12}[modality])
        found = embedder.embed({modality: images})
        assert found["pool"].numpy().sum() == pytest.approx(pool, rel=1e-5)
        assert found["neck"].numpy().sum() == pytest.approx(neck, rel=1e-5)
        if (method, modality) == ("two_stream", "visible"):
            np.testing.assert_allclose(found["pool"][0, :4], [0.053436, 0.018656, 0.018375, 0.0], atol=1e-6)
            np.testing.assert_allclose(
                found["neck"][0, :4], [0.050976, 0.020255, 0.019623, -0.00018], atol=2e-6
            )


def test_an_imported_network_is_a_run_like_any_other(small):
    settings = run_settings(small)
    told = {"mode": "import", "backbone": "resnet10", "stream": "two", "method": "agw", "non_local_width": 1}
    assert {name: settings[name] for name in told} == told
    assert "dataset" not in settings, "nobody said what it was trained on"
    assert is_finetuned(small) and run_summary(small) == {"status": "complete"}
    assert load_embedder(looking_at(small), "best") is None
    config = looking_at(small)
    assert (config.data.image_height, config.run.method) == (96, "agw")
    report = json.loads((small / "import.json").read_text())
    assert report["facts"] == {"epoch": 30, "mAP": 0.4} and report["wrapper"] == "net"
    assert report["missing"] == [] and len(report["sha256"]) == 64
    assert report["matched"]["NL_3.0.g.0.weight"] == ["non_local_layer3_0/g/kernel"]
    assert report["unexpected"]["heads"] == ["classifier.weight"]


def test_fine_tuning_starts_from_an_imported_encoder(small):
    encoder = Encoder("resnet10", "two", seed=5)
    encoder.build_from(96, 48)
    (config,) = configs_of({"mode": "finetune", "init": str(small), **SMALL, "backbone": "resnet10"})
    lines = start_encoders(PooledEncoder(encoder), config)
    assert lines[1] == "65 tensors matched, 0 missing, 0 dropped"
    embedder, _ = load_embedder(looking_at(small), "last")
    for found, expected in zip(encoder.variables, embedder.encoder.variables, strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("stream", ["one", "two"])
def test_an_imagenet_network_becomes_an_encoder_of_either_kind(tmp_path, capsys, stream):
    run = imported(tmp_path, torchvision(RESNET18), stream=stream, dataset="sysu", **SMALL)
    assert ("both stems are a copy" in capsys.readouterr().out) == (stream == "two")
    settings = run_settings(run)
    assert (settings["backbone"], settings["stream"]) == ("resnet18", stream)
    assert "dataset" not in settings, "ImageNet is none of ours"
    assert not is_finetuned(run) and not (run / "embedder_last.weights.h5").exists()
    embedder, _ = load_embedder(looking_at(run), "last")
    assert embedder.FEATURES == ("pool",) and embedder.encoder.stream == stream
    stems = embedder.encoder.stems
    np.testing.assert_array_equal(stems["visible"].conv1.kernel, stems["infrared"].conv1.kernel)


def test_the_paper_s_size_is_the_default_and_what_it_was_trained_on_can_be_said(tmp_path):
    run = imported(tmp_path, {"net": two_stream(RESNET10)}, dataset="regdb", trial=3)
    settings = run_settings(run)
    assert (settings["image_height"], settings["image_width"]) == (288, 144)
    assert (settings["dataset"], settings["trial"]) == ("regdb", 3)
    (config,) = configs_of({"mode": "finetune", "init": str(run), "dataset": "regdb", "backbone": "resnet10"})
    encoder = Encoder("resnet10", "two")
    encoder.build_from(96, 48)
    with pytest.raises(ValueError, match="was trained on trial 3 of regdb"):
        start_encoders(PooledEncoder(encoder), config)


def test_a_second_import_replaces_the_first_and_all_of_it(tmp_path):
    run = imported(tmp_path, two_stream(RESNET10, "agw"), **SMALL)
    assert is_finetuned(run)
    assert imported(tmp_path, torchvision(RESNET18), **SMALL) == run
    assert not is_finetuned(run) and run_settings(run)["backbone"] == "resnet18"


def refuse(typed, reason):
    with pytest.raises(ValueError, match=reason):
        (config,) = configs_of({"mode": "import", **typed})
        import_checkpoint(config)


def test_what_cannot_be_imported_writes_nothing(tmp_path):
    tensors = two_stream(RESNET10, copies=False)
    refuse({}, "needs --checkpoint=FILE")
    run = {"workdir": str(tmp_path / "run"), **SMALL}
    good = {"checkpoint": str(write(tmp_path / "good.pth", tensors)), **run}
    del tensors["base_resnet.base.layer4.0.conv2.weight"]
    bad = str(write(tmp_path / "bad.pth", tensors))
    refuse(run | {"checkpoint": bad}, r"bad\.pth looks like .* 1 missing: base_resnet.*Nothing was written")
    vit = write(tmp_path / "vit.pth", {"cls_token": np.zeros(3, "f")})
    refuse(run | {"checkpoint": str(vit)}, r"vit\.pth holds no ResNet.*Known are torchvision's")
    attack = write(tmp_path / "attack.pth", {}, program=b"\x80\x02cos\nsystem\n(X\x01\x00\x00\x00atR.")
    refuse(run | {"checkpoint": str(attack)}, r"attack\.pth is not read: .*refers to os\.system")
    refuse(good | {"stream": "one"}, "a stem for each modality, so --stream=one does not fit")
    refuse(good | {"method": "agw"}, "holds the two-stream base.*so --method=agw does not fit")
    for name, value in (("backbone", "resnet10"), ("non_local_width", 2)):
        refuse(good | {name: value}, f"--{name} with --mode=import: the checkpoint tells it")
    refuse(good | {"image_height": 90}, "multiples of 16")
    assert not (tmp_path / "run").exists()
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "mine.txt").write_text("")
    refuse(good, r"holds files but no import\.json")
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["mine.txt"]


def test_names_that_no_terminal_shows_are_imported_and_printed_escaped(tmp_path, capsys):
    def text(content):
        return Raw(b"X" + len(content).to_bytes(4, "little") + content)

    tree = torchvision(RESNET10) | {text(b"head.\x1b[2J\xed\xb2\x80"): np.zeros(2, "f")}
    run = imported(tmp_path, {text(b"\x1b\xed\xb2\x80"): tree}, **SMALL)
    said = capsys.readouterr().out
    assert r"1 unknown: head.\x1b[2J\udc80" in said and r"its entry '\x1b\udc80'" in said
    assert "\x1b" not in said
    assert json.loads((run / "import.json").read_text())["unexpected"]["unknown"] == ["head.\x1b[2J\udc80"]


@pytest.mark.parametrize(("stem", "left_out"), [("both", False), ("visible", True), ("mean", True)])
def test_an_encoder_goes_out_and_comes_back(tmp_path, capsys, small, stem, left_out):
    config = looking_at(small, "export", safetensors=stem, workdir=str(tmp_path / "out"))
    assert export_safetensors(config) == 0
    assert ("have no place there" in capsys.readouterr().out) == left_out
    path = tmp_path / "out" / f"encoder_{stem}.safetensors"
    typed = {"mode": "import", "checkpoint": str(path), "workdir": str(tmp_path / "again"), **SMALL}
    (config,) = configs_of(typed)
    import_checkpoint(config)
    first, _ = load_embedder(looking_at(small), "last")
    again, _ = load_embedder(looking_at(tmp_path / "again"), "last")
    if stem == "both":
        pairs = zip(first.variables, again.variables, strict=True)
        assert again.FEATURES == ("neck", "pool") and all(np.array_equal(a, b) for a, b in pairs)
    else:
        assert again.FEATURES == ("pool",)
        for a, b in zip(first.encoder.layer3.variables, again.encoder.layer3.variables, strict=True):
            np.testing.assert_array_equal(a, b)
        stem = "visible" if stem == "visible" else "infrared"
        same = np.array_equal(first.encoder.stems[stem].conv1.kernel, again.encoder.stems[stem].conv1.kernel)
        assert same == (stem == "visible"), "the mean is neither stem"
