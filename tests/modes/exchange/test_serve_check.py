"""--mode=serve_check on a small run: served, compared and refused over loopback."""

import json
import sys
import types
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mmgl_tf.flags.config import from_flat, to_flat
from mmgl_tf.modes.exchange.export_weights import weights_digest
from mmgl_tf.modes.exchange.serve_check import TOLERANCE, _agrees, newest_version, serve_check
from mmgl_tf.serving.inference_network import InferenceNetwork
from mmgl_tf.serving.saved_model import write_saved_model
from tests.modes.small_run import settings, write_run


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """(Config of --mode=serve_check, directory of the model) of a run that was exported once."""
    root = tmp_path_factory.mktemp("run")
    cache = str(tmp_path_factory.mktemp("cache"))
    trained = settings(cache_dir=cache)
    embedder = write_run(root, trained, embedders=("last",))["embedder_last"]
    flat = to_flat(trained) | {"mode": "serve_check", "init": str(root), "workdir": str(root / "export")}
    config = from_flat(flat | {"export_weights": "last"})
    model = root / "export" / config.export.model_name
    digest = weights_digest(config)
    write_export(model, 1, embedder, weights_sha256=digest)
    return config, model, embedder


def write_export(model, number, embedder, **facts):
    directory = model / str(number)
    write_saved_model(InferenceNetwork(embedder, "neck"), 96, 48, directory)
    info = {"weights": "last", "feature": "neck", "precision": "float32", "streams": "two"}
    (directory / "model.json").write_text(json.dumps(info | facts))


@pytest.mark.slow
def test_a_good_export_passes_and_tells_how_to_serve_it(run, capsys):
    config, model, embedder = run
    assert serve_check(config) == 0
    said = capsys.readouterr().out
    assert "images     8, test people of synthetic (4 visible, 4 infrared)" in said
    assert f"REST       version 1 AVAILABLE; {embedder.feature_sizes['neck']} values" in said
    assert f"gRPC       version 1 AVAILABLE; {embedder.feature_sizes['neck']} values" in said
    assert "bad requests: broken JSON" in said
    assert "oversized" in said
    assert "all agree" in said
    assert "FAIL" not in said
    for line in ("docker run", str(model.parent.resolve()), "curl", "localhost:8501/v1/models/mmgl:predict"):
        assert line in said


@pytest.mark.slow
def test_an_export_of_other_weights_fails(run, capsys, monkeypatch):
    config, model, embedder = run
    weight = embedder.neck.weights[0]
    kept = weight.numpy()
    weight.assign(kept * np.linspace(0.5, 1.5, len(kept), dtype=np.float32))
    write_export(model, 2, embedder, weights_sha256=weights_digest(config))  # it says so
    weight.assign(kept)
    monkeypatch.setattr(
        "mmgl_tf.modes.exchange.serve_check.read_splits", lambda _: (_ for _ in ()).throw(OSError("no disk"))
    )
    try:
        assert newest_version(model).name == "2"
        assert serve_check(config) == 1
    finally:
        (model / "2" / "saved_model.pb").unlink()
    said = capsys.readouterr().out
    assert "REST       FAIL: version 2 AVAILABLE" in said
    assert "test images cannot be read (no disk)" in said
    assert "images     8, drawn, as smooth noise" in said
    assert "all agree" not in said


@pytest.fixture
def asked(monkeypatch):
    """Modes of the exports that were asked for; each fails with status 3."""
    found = []
    module = types.ModuleType("mmgl_tf.modes.exchange.export")
    module.export = lambda config: found.append(config.run.mode) or 3
    monkeypatch.setitem(sys.modules, "mmgl_tf.modes.exchange.export", module)
    return found


def test_a_run_without_an_export_is_exported_first(run, asked, capsys):
    config = run[0]
    config = replace(config, export=replace(config.export, model_name="other"))
    assert serve_check(config) == 3
    assert asked == ["export"]
    assert "FAIL       the export to" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("facts", "why"),
    [
        ({"weights_sha256": "0" * 64}, "was made of other weights than"),
        ({}, "does not say which weights"),
        (None, "does not say which weights"),
        ({"precision": "bfloat16"}, "has precision bfloat16, not float32 as --export_precision says"),
        ({"feature": "pool"}, "has feature pool, not neck as --export_feature says"),
    ],
)
def test_an_outdated_export_is_exported_anew(run, asked, tmp_path, capsys, facts, why):
    """Else old weights are compared with new ones, or another model than was asked for."""
    config = run[0]
    version = tmp_path / "mmgl" / "4"
    version.mkdir(parents=True)
    (version / "saved_model.pb").touch()
    known = {"weights_sha256": weights_digest(config), "feature": "neck", "precision": "float32"}
    if facts is not None:
        (version / "model.json").write_text(json.dumps(known | facts if facts else {}))
    options = replace(config.export, export_feature="neck")
    config = replace(config, run=replace(config.run, workdir=str(tmp_path)), export=options)
    assert serve_check(config) == 3
    assert asked == ["export"]
    assert f"4 {why}" in capsys.readouterr().out


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_bfloat16_is_judged_by_direction_and_float32_by_each_value(precision, capsys):
    reference = np.eye(4, 8, dtype=np.float32)
    client = types.SimpleNamespace(status=lambda: {1: "AVAILABLE"})

    def judge(found):
        return _agrees("REST", client, found, reference, Path("1"), precision)

    near = reference + np.float32(5 * TOLERANCE)
    assert judge(reference)
    assert judge(near) == (precision == "bfloat16")
    assert not judge(reference + np.float32(0.06)), "a tenth of the distance between images"
    assert not judge(reference * np.nan)
    assert "FAIL" in capsys.readouterr().out


def test_the_newest_version_is_the_largest_number(tmp_path):
    assert newest_version(tmp_path) is None
    for name in ("9", "10", "11", "12.old", "0013"):
        (tmp_path / name).mkdir()
    for name in ("9", "10", "12.old", "0013"):
        (tmp_path / name / "saved_model.pb").touch()
    assert newest_version(tmp_path).name == "10"


@pytest.mark.slow
def test_a_run_is_exported_served_and_checked_by_one_command(run, tmp_path, capsys):
    config = run[0]
    config = replace(
        config,
        run=replace(config.run, workdir=str(tmp_path / "export")),
        export=replace(config.export, model_name="people", skip_metrics=True, serving_batch_sizes="1,4"),
    )
    assert serve_check(config) == 0
    said = capsys.readouterr().out
    assert "holds no version yet, so the run is exported first" in said
    assert "all agree" in said
    assert (tmp_path / "export" / "people" / "1" / "model.json").is_file()
