"""A run becomes a model, or it does not and everything stays as it was."""

import contextlib
import dataclasses
import hashlib
import io
import json
import shutil

import numpy as np
import pytest
import tensorflow as tf

from mmgl_tf.flags.config import from_flat, to_flat
from mmgl_tf.modes.exchange import export as export_mode
from mmgl_tf.modes.exchange import export_agreement
from mmgl_tf.modes.exchange.export import batch_sizes, export
from mmgl_tf.modes.exchange.export_examples import drawn_examples
from mmgl_tf.modes.saved_run import load_embedder, run_settings
from mmgl_tf.pipelines.decode import decode_image, normalise
from mmgl_tf.serving.predictor import Predictor
from mmgl_tf.serving.version_directories import only_writer
from tests.modes.small_run import settings, write_run


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def run(tmp_path_factory, cache):
    """An AGW fine-tuning of a drawn world, with last and best weights and an evaluation."""
    root = tmp_path_factory.mktemp("runs") / "agw"
    config = settings(
        method="agw", dataset="synthetic", cache_dir=str(cache), seed=3, export_weights="best", epochs=7
    )
    write_run(root, config, embedders=("last", "best"), steps=8, best_epoch=2)
    return root


def exporting(run, workdir, **changes):
    """The settings that --mode=export makes of a run's."""
    own = run_settings(run) | {"mode": "export", "init": str(run), "workdir": str(workdir)}
    return from_flat({**own, "serving_batch_sizes": "1,3", **changes})


@pytest.fixture
def in_process(monkeypatch):
    """Function: the exported model answers in this process, which is faster, and is changed on the way."""

    def use(change=lambda values: values):
        def answer(directory, encoded, images, modality, batch_size):
            values = Predictor(directory, batch_size).embed(encoded, modality)
            return {"serving_default": change(values), "warmed_up": 0}

        monkeypatch.setattr(export_agreement, "embed_in_fresh_process", answer)

    return use


@pytest.fixture(scope="module")
def exported(run, tmp_path_factory):
    """(the models' directory, what was printed), of a whole export in bfloat16."""
    root = tmp_path_factory.mktemp("exported") / "export"
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        assert export(exporting(run, root, export_precision="bfloat16")) == 0
    return root, printed.getvalue()


def test_an_export_is_whole(exported, run, cache):
    root, printed = exported
    version = root / "mmgl" / "1"
    names = {path.relative_to(version).as_posix() for path in version.rglob("*") if path.is_file()}
    assert names >= {
        "saved_model.pb",
        "variables/variables.index",
        "assets.extra/tf_serving_warmup_requests",
        "model.json",
        "model_card.md",
    }
    assert {path.name for path in root.iterdir()} == {
        "mmgl",
        "models.config",
        "batching.config",
        "monitoring.config",
    }
    assert 'name: "mmgl"' in (root / "models.config").read_text()
    assert "max_batch_size { value: 3 }" in (root / "batching.config").read_text()
    facts = json.loads((version / "model.json").read_text())
    wanted = {
        "model_name": "mmgl",
        "version": 1,
        "height": 96,
        "width": 48,
        "streams": "two",
        "num_features": 256,
        "feature": "neck",
        "precision": "bfloat16",
        "weights": "best",
        "dataset": "synthetic",
        "batch_sizes": [1, 3],
    }
    assert {name: facts[name] for name in wanted} == wanted
    assert facts["packages"]["keras"] and facts["config"]["world_frames"] == 2
    assert facts["source"] == "agw"
    best = (run / "embedder_best.weights.h5").read_bytes()
    assert facts["weights_sha256"] == hashlib.sha256(best).hexdigest()
    for name in ("model.json", "model_card.md"):
        assert str(run.parent) not in (version / name).read_text(), "places of this machine are not handed on"
        assert str(cache) not in (version / name).read_text()
    for word in ("docker run", "base64", "GrpcClient", str(version), "4 warm-up requests"):
        assert word in printed


def test_the_figures_of_both_precisions_are_printed_and_on_the_card(exported):
    root, printed = exported
    rows = [line for line in printed.splitlines() if line.startswith("infrared to visible, all, 1-shot")]
    assert [row.split()[5] for row in rows] == ["float32", "bfloat16"]
    card = (root / "mmgl" / "1" / "model_card.md").read_text()
    for precision, row in zip(("float32", "bfloat16"), rows, strict=True):
        figures = " | ".join(row.split()[6:])
        assert f"| {precision} | infrared to visible, all, 1-shot | {figures} |" in card
    for words in ("drawn people", "7 epochs", "seed 3", "smallest cosine", "Not for decisions", "bfloat16"):
        assert words in card


def test_the_model_says_what_the_best_weights_say(exported, run):
    root, _ = exported
    config = exporting(run, root)
    embedder, _ = load_embedder(
        dataclasses.replace(config, finetuning=dataclasses.replace(config.finetuning, init=str(run))), "best"
    )
    examples = drawn_examples()
    found = Predictor(root / "mmgl").embed(examples.encoded, examples.modality)
    for content, code, row in zip(examples.encoded, examples.modality, found, strict=True):
        image = normalise(decode_image(content, 96, 48)[None])
        expected = embedder.embed({("visible", "infrared")[code]: image})["neck"][0]
        assert np.dot(row, expected) > 0.99


@pytest.fixture
def earlier(exported, tmp_path):
    """A models' directory with version 1."""
    return shutil.copytree(exported[0], tmp_path / "export")


def names(directory):
    return sorted(path.name for path in directory.iterdir() if path.name != "export.lock")


@pytest.mark.slow
def test_versions_add_up_and_old_ones_go(run, earlier, in_process, capsys):
    in_process()
    export(exporting(run, earlier, skip_metrics=True, keep_versions=2))
    assert names(earlier / "mmgl") == ["1", "2"]
    export(exporting(run, earlier, skip_metrics=True, keep_versions=2, serving_batch_sizes="4"))
    assert names(earlier / "mmgl") == ["2", "3"]
    assert json.loads((earlier / "mmgl" / "3" / "model.json").read_text())["version"] == 3
    assert "max_batch_size { value: 4 }" in (earlier / "batching.config").read_text()
    assert "metrics    left out: --skip_metrics was given" in capsys.readouterr().out


def assert_untouched(directory):
    assert names(directory) == ["batching.config", "mmgl", "models.config", "monitoring.config"]
    assert names(directory / "mmgl") == ["1"]
    assert "value: 3" in (directory / "batching.config").read_text(), "it is that of the version that stays"


def test_a_model_that_disagrees_is_not_published(run, earlier, in_process):
    in_process(lambda values: values + 1e-3)
    with pytest.raises(ValueError, match=r"does not agree .* 16 test images .*Nothing was published"):
        export(exporting(run, earlier, skip_metrics=True, keep_versions=1, serving_batch_sizes="2"))
    assert_untouched(earlier)


@pytest.mark.slow
def test_a_model_that_a_fresh_process_cannot_load_is_not_published(run, earlier, monkeypatch):
    def broken(network, height, width, directory):
        (directory / "saved_model.pb").write_bytes(b"no model")

    monkeypatch.setattr(export_mode, "write_saved_model", broken)
    with pytest.raises(ValueError, match="a fresh process cannot use the exported model"):
        export(exporting(run, earlier, skip_metrics=True, keep_versions=1, serving_batch_sizes="2"))
    assert_untouched(earlier)


def test_a_full_disk_is_one_clear_error(run, earlier, monkeypatch):
    def full(*_):
        raise tf.errors.ResourceExhaustedError(None, None, "No space left on device")

    monkeypatch.setattr(export_mode, "write_saved_model", full)
    with pytest.raises(ValueError, match="could not be exported: No space left on device"):
        export(exporting(run, earlier, skip_metrics=True))
    assert_untouched(earlier)


def test_without_the_data_set_it_goes_on_with_drawn_images(run, tmp_path, in_process, capsys):
    in_process()
    gone = {"dataset": "sysu", "data_dir": str(tmp_path / "gone")}
    export(exporting(run, tmp_path / "export", **gone))
    printed = capsys.readouterr().out
    assert "metrics    left out: the data set sysu cannot be read" in printed
    assert "drawn images" in printed
    card = (tmp_path / "export" / "mmgl" / "1" / "model_card.md").read_text()
    assert "None were measured at export: the data set sysu could not be evaluated." in card
    assert str(tmp_path) not in card


def test_no_world_is_drawn_for_a_handful_of_images(run, tmp_path, in_process, capsys):
    in_process()
    export(exporting(run, tmp_path / "export", skip_metrics=True, cache_dir=str(tmp_path / "cache")))
    assert "drawn images" in capsys.readouterr().out
    assert not (tmp_path / "cache").exists()


def test_a_second_export_is_refused_before_it_begins(run, earlier, in_process, monkeypatch):
    in_process()
    monkeypatch.setattr(export_mode, "figures_of", lambda *_: pytest.fail("it began"))
    with only_writer(earlier / "mmgl"), pytest.raises(ValueError, match="another process is exporting"):
        export(exporting(run, earlier))
    assert_untouched(earlier)


def test_a_pre_training_is_exported_without_a_neck(tmp_path, cache, in_process, capsys):
    in_process()
    write_run(
        tmp_path / "run", settings("pretrain", dataset="synthetic", cache_dir=str(cache)), encoders=("last",)
    )
    with pytest.raises(ValueError, match=r"--export_feature=neck, but .*run has pool \(256 values\); give"):
        export(exporting(tmp_path / "run", tmp_path / "export", export_feature="neck"))
    assert not (tmp_path / "export").exists()
    export(exporting(tmp_path / "run", tmp_path / "export", skip_metrics=True))
    facts = json.loads((tmp_path / "export" / "mmgl" / "1" / "model.json").read_text())
    assert (facts["feature"], facts["weights"]) == ("pool", "last"), "nothing was chosen as best"
    assert "pre-trained as MMGL" in (tmp_path / "export" / "mmgl" / "1" / "model_card.md").read_text()


def test_a_directory_of_something_else_is_refused(run, tmp_path, in_process):
    in_process()
    (tmp_path / "encoder_shared.safetensors").touch()  # of the same mode
    export(exporting(run, tmp_path, skip_metrics=True))
    other = tmp_path / "other"
    other.mkdir()
    (other / "thesis.tex").touch()
    with pytest.raises(ValueError, match="was not made by this mode"):
        export(exporting(run, other))


@pytest.mark.parametrize("text", ["", "8,1", "1,1", "0,2", "1,x", "1,,2"])
def test_batch_sizes_that_cannot_be_are_refused(text):
    with pytest.raises(ValueError, match=r"--serving_batch_sizes=.*such as 1,8,32"):
        batch_sizes(text)


@pytest.mark.parametrize("name", ["", "a/b", "..", "1", "a b"])
def test_names_that_cannot_be_served_are_refused(run, tmp_path, name):
    with pytest.raises(ValueError, match="--model_name="):
        export(exporting(run, tmp_path, model_name=name))


def test_the_settings_come_back_from_the_facts(exported):
    saved = json.loads((exported[0] / "mmgl" / "1" / "model.json").read_text())["config"]
    assert to_flat(from_flat(saved)).items() >= saved.items()
