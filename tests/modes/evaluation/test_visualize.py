"""Which runs are shown, under which names, and which cannot be shown together."""

import dataclasses
import json

import keras
import pytest

import mmgl_tf.modes.evaluation.visualize as visualizing
from mmgl_tf.modes.evaluation.visualize import run_names, visualize
from mmgl_tf.pipelines.records import INFRARED, VISIBLE
from tests.modes.labelled_files import write_people
from tests.modes.small_run import settings, write_run


def looking_at(run, **changes):
    """The settings that --mode=visualize makes of a run."""
    given = {"init": str(run), "dataset": "sysu", "data_dir": "tree", "workdir": "out", "cache": False}
    return settings("visualize", **{**given, **changes})


@pytest.mark.parametrize(
    ("directories", "names"),
    [
        (["runs/mmgl"], ["mmgl"]),
        (["runs/mmgl/"], ["mmgl"]),
        (["runs/random", "runs/mmgl"], ["random", "mmgl"]),
        (["runs/a/agw-seed0", "other/b/agw-seed0"], ["runs/a", "other/b"]),
        (["runs/a/tuned", "runs/b/tuned"], ["a", "b"]),
        # One lies in the other: what it has of its own is nothing.
        (["runs/a", "runs/a/tuned"], ["a", "tuned"]),
        (["runs/a", "./runs//a"], ["a (1)", "a (2)"]),
        (["x/y", "y/x"], ["y", "x"]),
    ],
)
def test_runs_are_named_by_what_tells_them_apart(directories, names):
    assert run_names(directories) == names


@pytest.mark.parametrize(
    ("first", "second", "named"),
    [
        ({}, {"dataset": "regdb"}, r"\(dataset\)"),
        ({}, {"data_dir": "elsewhere"}, r"\(data_dir\)"),
        ({}, {"image_height": 48}, r"\(image_height\)"),
        ({}, {"image_width": 96}, r"\(image_width\)"),
        ({"dataset": "regdb"}, {"dataset": "regdb", "trial": 2}, r"\(trial\)"),
        ({"dataset": "synthetic"}, {"dataset": "synthetic", "world_seed": 1}, r"\(drawn world\)"),
        (
            {"dataset": "synthetic", "world_layout": "regdb"},
            {"dataset": "synthetic", "world_layout": "regdb", "trial": 3},
            r"\(trial\)",
        ),
    ],
)
def test_runs_of_different_test_images_are_refused(monkeypatch, first, second, named):
    monkeypatch.setattr(visualizing, "claim_directory", lambda *arguments: pytest.fail("went on"))
    with pytest.raises(
        ValueError, match=rf"runs/b and runs/a look at different images {named}; what is typed"
    ):
        visualize([looking_at("runs/a", **first), looking_at("runs/b", **second)])


class WentOn(Exception):
    pass


@pytest.mark.parametrize(
    ("first", "second"),
    [
        # A world that neither run looks at, a trial of a data set without trials, a directory not needed.
        ({"world_seed": 1}, {"world_seed": 2}),
        ({"trial": 1}, {"trial": 2}),
        ({"dataset": "synthetic"}, {"dataset": "synthetic", "data_dir": "elsewhere", "trial": 4}),
        ({}, {"method": "agw", "seed": 3, "batch_size": 4}),
    ],
)
def test_settings_that_leave_the_test_images_alone_may_differ(monkeypatch, first, second):
    def went_on(*arguments):
        raise WentOn

    monkeypatch.setattr(visualizing, "claim_directory", went_on)
    with pytest.raises(WentOn):
        visualize([looking_at("runs/a", **first), looking_at("runs/b", **second)])


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """(splits, directory with the runs "tuned" and "pre")."""
    root = tmp_path_factory.mktemp("visualize")
    write_run(root / "pre", settings("pretrain"), encoders=("last",), steps=6)
    tuned = settings(init=str(root / "pre"), init_weights="last")
    write_run(root / "tuned", tuned, embedders=("last",))
    return write_people(root / "people", broken=((5, 3, 0),)), root


@pytest.fixture
def shown(world, monkeypatch, tmp_path):
    """Function changes -> configurations of the two runs, of the world's people."""
    splits, root = world
    monkeypatch.setattr(visualizing, "read_splits", lambda config: splits)

    def make(**changes):
        common = {"cache_dir": str(tmp_path / "cache"), "workdir": str(tmp_path / "out")}
        own = {"tuned": {"mode": "visualize"}, "pre": {"mode": "visualize"}}
        found = []
        for name in own:
            saved = json.loads((root / name / "config.json").read_text())
            saved = {key: value for key, value in saved.items() if key not in ("mode", "init", "pictures")}
            given = (
                saved | common | {"dataset": "sysu", "on_bad_image": "skip", "init_weights": "best"} | changes
            )
            found.append(settings("visualize", init=str(root / name), **given))
        return found

    return make


def test_the_pictures_get_each_run_with_its_start_and_directory(shown, world, monkeypatch, tmp_path, capsys):
    calls = {}

    class Recorder:
        def __init__(self, config, images, protocol, rules, root):
            calls["made"] = (config, images, protocol, rules, root)

        def write(self, networks, before, runs):
            calls["written"] = (networks, before, runs)
            return [tmp_path / "out" / "pictures" / "one.png"]

    monkeypatch.setattr(visualizing, "RetrievalPictures", Recorder)
    configs = shown(run_names="fine, before", trials=3, count_identities="never")
    assert visualize(configs) == 0
    config, images, protocol, rules, root = calls["made"]
    assert config is configs[0] and root == tmp_path / "out"
    assert {modality: len(found) for modality, found in images.samples.items()} == {VISIBLE: 32, INFRARED: 15}
    assert rules["trials"] == 3 and protocol == dataclasses.replace(protocol, identity_once=False)
    networks, before, runs = calls["written"]
    assert [network.name for network in networks] == ["fine", "before"]
    assert [network.feature for network in networks] == ["neck", "pool"]
    assert [start and start.name for start in before] == ["pre-trained, before fine-tuning", None]
    assert runs == {"fine": str(world[1] / "tuned"), "before": str(world[1] / "pre")}
    printed = capsys.readouterr().out
    assert f"picture    {tmp_path / 'out' / 'pictures' / 'one.png'}" in printed
    assert f"tensorboard --logdir {tmp_path / 'out' / 'tensorboard'}" in printed


@pytest.mark.parametrize("names", ["only", "twice,twice", "a,b,c", "a,b,a"])
def test_names_must_be_one_for_each_run(shown, names):
    with pytest.raises(ValueError, match=rf"--run_names={names} gives \d different names to 2 runs"):
        visualize(shown(run_names=names))


def test_a_directory_with_something_else_in_it_is_refused(shown, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match="out holds files but no pictures"):
        visualize(shown())


def test_the_pictures_of_one_run_are_drawn(shown, tmp_path, capsys):
    config = shown(shown_queries=2, shown_identities=2)[0]
    assert visualize([config]) == 0
    names = {path.stem for path in (tmp_path / "out" / "pictures").iterdir()}
    assert names == {"activation_maps", "embedding_map", "match_curves", "ranked_lists"}
    assert (tmp_path / "out" / "tensorboard" / "projector_config.pbtxt").is_file()
    assert capsys.readouterr().out.count("picture    ") == 4
    assert visualize([config]) == 0, "a second look at the same place"


def test_each_run_is_looked_at_in_its_own_precision(shown, monkeypatch, tmp_path):
    seen = []

    def embed(config, name, images):
        seen.append(keras.mixed_precision.global_policy().name)

    monkeypatch.setattr(visualizing, "embeddings_of_run", embed)
    monkeypatch.setattr(visualizing, "embeddings_before_training", lambda *arguments: None)
    monkeypatch.setattr(visualizing.RetrievalPictures, "write", lambda *arguments: [])
    first, second = shown()
    half = dataclasses.replace(first.optimization, precision="bfloat16")
    assert visualize([dataclasses.replace(first, optimization=half), second]) == 0
    assert seen == ["mixed_bfloat16", "float32"]
