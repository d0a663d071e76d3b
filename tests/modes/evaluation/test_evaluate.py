"""Evaluation of a run's weights by every data set's protocol, and what it refuses."""

import dataclasses
import json
import shutil

import numpy as np
import pytest
import tensorflow as tf

from mmgl_tf.flags.config import World
from mmgl_tf.modes.evaluation.evaluate import evaluate, evaluate_runs
from mmgl_tf.modes.saved_run import load_embedder
from mmgl_tf.pipelines.decode import decode_image, normalise
from mmgl_tf.pipelines.readers.folder import read_folder
from mmgl_tf.pipelines.readers.sysu import read_sysu
from mmgl_tf.pipelines.synthetic import synthesize
from mmgl_tf.retrieval.labelled import LabelledFeatures
from mmgl_tf.retrieval.protocols import evaluate_settings
from tests.modes.small_run import WORLD, settings, write_run

# Images in the gallery of each search: three people, four cameras (two indoors), two frames.
GALLERY = {("all", 1): 12, ("all", 10): 24, ("indoor", 1): 6, ("indoor", 10): 12}
FIGURES = ("rank1", "rank5", "rank10", "rank20", "mAP", "mINP")


@pytest.fixture(scope="module")
def trees(tmp_path_factory):
    """{layout: root} of the same people as SYSU-MM01, RegDB and a folder."""
    root = tmp_path_factory.mktemp("trees")
    synthesize(WORLD, root / "sysu")
    small = World(**{**dataclasses.asdict(WORLD), "world_layout": "regdb", "world_test_identities": 4})
    synthesize(dataclasses.replace(small, world_validation_identities=0), root / "regdb")
    splits = read_sysu(str(root / "sysu"))
    for sample in (*splits.query.samples, *splits.gallery.samples):
        name = f"{('visible', 'infrared')[sample.modality]}/{sample.identity:04d}"
        target = root / "folder" / name / sample.path.replace("/", "_")[-20:]
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(sample.path, target)
    return {name: root / name for name in ("sysu", "regdb", "folder")}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A fine-tuned run with last and best weights."""
    root = tmp_path_factory.mktemp("run") / "agw"
    config = settings(method="agw", dataset="sysu", seed=3)
    write_run(root, config, embedders=("last", "best"), steps=8, best_epoch=2)
    return root


@pytest.fixture(scope="module")
def last(run, tmp_path_factory):
    """The same run with nobody held out: last weights only."""
    root = tmp_path_factory.mktemp("run") / "last"
    return shutil.copytree(run, root, ignore=shutil.ignore_patterns("embedder_best*"))


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def look(trees, run, cache, tmp_path):
    """Function dataset, changes -> the configuration that eval makes of the run."""

    def make(dataset="sysu", init=run, **changes):
        given = {
            "dataset": dataset,
            "data_dir": str(trees[dataset]) if dataset in trees else "",
            "cache_dir": str(cache),
            "workdir": str(tmp_path / "eval"),
            "init": str(init),
            "seed": 3,
            "method": "agw",
        }
        return settings("eval", **(given | changes))

    return make


def key(cell):
    return cell["search"], cell["shots"], cell["direction"], cell["feature"], cell["weights"]


def by_hand(config, trees):
    """Results of the best weights' pooled features, embedded without data pipeline and graph."""
    splits = read_sysu(str(trees["sysu"]))
    embedder, _ = load_embedder(config, "best")
    sides = []
    for split, name in ((splits.query, "infrared"), (splits.gallery, "visible")):
        images = [decode_image(tf.io.read_file(sample.path), 96, 48) for sample in split.samples]
        rows = embedder.embed({name: normalise(tf.stack(images))})["pool"]
        labels = [[getattr(s, what) for s in split.samples] for what in ("identity", "camera")]
        sides.append(LabelledFeatures(rows.numpy(), *map(np.array, labels)))
    return evaluate_settings(*sides, splits.query.protocol)


def test_sysus_cells_are_those_of_the_contract_with_last_and_best(look, trees, run, tmp_path, capsys):
    config = look(batch_size=5)
    found = evaluate(config)
    assert json.loads((tmp_path / "eval" / "results.json").read_text()) == found
    about = {name: found[name] for name in ("dataset", "trained_on", "method", "init", "seed", "steps")}
    assert about == {
        "dataset": "sysu",
        "trained_on": "sysu",
        "method": "agw",
        "init": "random",
        "seed": 3,
        "steps": 8,
    }
    assert found["checkpoint"] == str(run) and found["best_epoch"] == 2 and found["trial"] is None
    assert [key(cell) for cell in found["cells"]] == [
        (search, shots, "infrared_to_visible", feature, which)
        for which in ("last", "best")
        for feature in ("neck", "pool")
        for search, shots in GALLERY
    ]
    for cell in found["cells"]:
        assert (cell["draw"], cell["trials"], cell["queries"]) == ("seeded", 10, 3 * 2 * 2)
        assert cell["gallery"] == GALLERY[cell["search"], cell["shots"]]
        assert (cell["flip"], cell["rerank"], cell["queries_without_match"]) == (False, False, 0)
        assert cell["paper"] is None, "the paper has no ResNet-10"
        assert len(cell["cmc"]) == 20
        for name in FIGURES:
            assert len(cell[name]["values"]) == 10
            assert cell[name]["mean"] == pytest.approx(np.mean(cell[name]["values"]))
            assert cell[name]["std"] == pytest.approx(np.std(cell[name]["values"]))
            assert 0 <= min(cell[name]["values"]) <= max(cell[name]["values"]) <= 1
    figures = {key(cell)[3:]: cell["mAP"]["mean"] for cell in found["cells"][::4]}
    assert len(set(figures.values())) == 4, "other weights and features must give other figures"
    for cell, result in zip(found["cells"][-4:], by_hand(config, trees), strict=True):
        assert (cell["feature"], cell["weights"]) == ("pool", "best")
        for name in FIGURES:
            np.testing.assert_allclose(cell[name]["values"], result.values(name), atol=1e-6)
    printed = capsys.readouterr().out
    assert "protocol   sysu" in printed and "queries of camera 3 are not compared with camera 2" in printed


def test_regdb_is_searched_in_both_directions(look, last, capsys):
    found = evaluate(look("regdb", init=last, trial=2, trials=7))
    assert found["trial"] == 2 and found["trained_on"] == "sysu"
    directions = ("visible_to_infrared", "infrared_to_visible")
    assert [key(cell) for cell in found["cells"]] == [
        ("", 0, direction, feature, "last") for feature in ("neck", "pool") for direction in directions
    ]
    for cell in found["cells"]:
        assert (cell["draw"], cell["trials"], cell["queries"], cell["gallery"]) == ("all", 1, 40, 40)
        assert cell["paper"] is None, "trained on SYSU-MM01"
    printed = capsys.readouterr().out
    assert "evaluated on regdb" in printed and "trained on sysu" in printed


def test_a_folder_gets_the_plain_protocol_and_says_which_queries_have_no_match(look, trees, tmp_path, capsys):
    root = tmp_path / "folder"
    shutil.copytree(trees["folder"], root)
    gone = sorted((root / "visible").iterdir())[0]
    shutil.rmtree(gone)
    found = evaluate(look("folder", init="pixels", data_dir=str(root)))
    directions = [cell["direction"] for cell in found["cells"][:2]]
    assert directions == ["infrared_to_visible", "visible_to_infrared"]
    assert [cell["queries_without_match"] for cell in found["cells"][:2]] == [4, 0]
    assert [cell["queries"] for cell in found["cells"][:2]] == [12, 16]
    assert found["protocol"]["name"] == "plain" and found["cells"][0]["paper"] is None
    assert "4 queries have no image of their person in some gallery" in capsys.readouterr().out


def test_flipping_reaches_the_embeddings(look, last):
    plain, flipped = (evaluate(look(init=last, flip=flip, trials=1))["cells"] for flip in (False, True))
    assert [cell["flip"] for cell in plain + flipped] == 8 * [False] + 8 * [True]
    assert all(cell["weights"] == "last" for cell in plain)
    assert any(a["mAP"] != b["mAP"] for a, b in zip(plain, flipped, strict=True))


def test_embeddings_may_be_compared_as_long_as_they_are(look, last, capsys):
    cosine = evaluate(look("regdb", init=last))
    capsys.readouterr()
    found = evaluate(look("regdb", init=last, distance="euclidean"))
    assert "Euclidean distances" in capsys.readouterr().out
    assert found["evaluation"] == {"distance": "euclidean"} and cosine["evaluation"] == {}
    assert any(a["mAP"] != b["mAP"] for a, b in zip(cosine["cells"], found["cells"], strict=True))


def test_every_setting_of_evaluation_does_what_it_is_for(look):
    def cells(**changes):
        return evaluate(look(init="pixels", **changes))["cells"]

    default, reranked, official, images, three = (
        cells(),
        cells(rerank=True),
        cells(gallery_draw="official"),
        cells(count_identities="never"),
        cells(trials=3),
    )
    assert {key(cell)[3:] for cell in default} == {("descriptor", "none")}
    assert all(cell["rerank"] for cell in reranked) and not any(cell["rerank"] for cell in default)
    assert {cell["draw"] for cell in official} == {"official"}
    assert {cell["trials"] for cell in three} == {3}
    for first, second in zip(default, three, strict=True):
        assert first["mAP"]["values"][:3] == second["mAP"]["values"]
    # Counting images instead of identities moves the match curve beyond its first place, and nothing else.
    for first, second in zip(default, images, strict=True):
        assert first["mAP"] == second["mAP"] and first["rank1"] == second["rank1"]
    assert sum(default[1]["cmc"]) > sum(images[1]["cmc"])
    for changed in (reranked, official):
        assert any(a["mAP"] != b["mAP"] for a, b in zip(default, changed, strict=True))


def test_a_pre_training_is_evaluated_by_its_pooled_features(look, tmp_path, capsys):
    root = tmp_path / "pretrained"
    write_run(root, settings("pretrain", stream="two"), encoders=("last",), steps=6)
    found = evaluate(look(init=root))
    assert [key(cell)[3:] for cell in found["cells"]] == [("pool", "last")] * 4
    assert found["method"] is None and found["init"] is None and found["steps"] == 6
    assert "best_epoch" not in found and found["cells"][0]["paper"] is None
    changed = "image_height=96, image_width=48, backbone=resnet10 and 1 more"
    words = f"MMGL (as published but for {changed}), no identities"
    assert found["described"] == words
    assert f"pooled features, pre-trained as {words}, not fine-tuned" in capsys.readouterr().out


def test_several_runs_are_averaged(look, tmp_path, capsys):
    first = look("regdb", init="pixels", trial=1, workdir=str(tmp_path / "1"))
    second = look("regdb", init="pixels", trial=2, workdir=str(tmp_path / "2"))
    assert evaluate_runs([first, second]) == 0
    printed = capsys.readouterr().out
    assert "mean and standard deviation over 2 runs" in printed
    means = [json.loads((tmp_path / n / "results.json").read_text())["cells"][0] for n in ("1", "2")]
    expected = 50 * sum(cell["mAP"]["mean"] for cell in means)
    (line, *_) = [
        line for line in printed.split("over 2 runs")[1].splitlines() if line.startswith("visible to")
    ]
    assert f"{expected:.2f}" in line
    mean = json.loads((tmp_path / "1-mean_of_2_runs.json").read_text())
    assert mean["trials"] == [1, 2] and 100 * mean["cells"][0]["mAP"]["mean"] == pytest.approx(expected)
    assert evaluate_runs([first]) == 0
    assert "over 1 runs" not in capsys.readouterr().out


def test_the_mean_with_other_options_is_another_file(look, tmp_path):
    """Of the same runs; each evaluation's options are in its directory's name."""
    for name, rerank in (("regdb-trial1", False), ("regdb-trial1-rerank", True)):
        runs = [
            look("regdb", init="pixels", rerank=rerank, workdir=str(tmp_path / run / name)) for run in "ab"
        ]
        evaluate_runs(runs)
    means = [json.loads(path.read_text()) for path in tmp_path.rglob("*mean_of_2_runs.json")]
    assert sorted(mean["cells"][0]["rerank"] for mean in means) == [False, True]


def test_a_failed_run_is_evaluated_and_says_so(look, last, tmp_path, capsys):
    root = shutil.copytree(last, tmp_path / "failed")
    (root / "summary.json").write_text('{"status": "fail", "reason": "loss/total was nan at step 9"}')
    found = evaluate(look(init=root, trials=1))
    assert json.loads((tmp_path / "eval" / "results.json").read_text()) == found
    assert (found["status"], found["reason"]) == ("fail", "loss/total was nan at step 9")
    assert len(found["cells"]) == 8, "from the weights before its end"
    assert "this run's status is fail: loss/total was nan at step 9" in capsys.readouterr().out


def test_data_that_nobody_can_be_found_in_is_refused(look, trees, tmp_path):
    root = tmp_path / "unlabelled"
    for name, source in (("visible", "cam1"), ("infrared", "cam3")):
        (root / name).mkdir(parents=True)
        for number, image in enumerate(sorted((trees["sysu"] / source).rglob("*.jpg"))[:3]):
            shutil.copy(image, root / name / f"{number}.jpg")
    assert read_folder(str(root)).query.samples == ()
    with pytest.raises(ValueError, match=r"unlabelled has no query images, so there is nothing to evaluate"):
        evaluate(look("folder", data_dir=str(root)))
    sysu = tmp_path / "sysu"
    shutil.copytree(trees["sysu"], sysu)
    for identity in read_sysu(str(sysu)).query.identities():
        for camera in (1, 2, 4, 5):
            shutil.rmtree(sysu / f"cam{camera}" / f"{identity:04d}")
    with pytest.raises(ValueError, match="has no gallery images"):
        evaluate(look(data_dir=str(sysu)))


def test_wishes_that_do_not_fit_are_refused(look, tmp_path):
    with pytest.raises(ValueError, match="--gallery_draw=official is for SYSU-MM01's layout; regdb"):
        evaluate(look("regdb", gallery_draw="official"))
    with pytest.raises(ValueError, match="--flip with --init=hog: only a network's embeddings"):
        evaluate(look(init="hog", flip=True))
    for beside, words in (
        ({"flip": True}, "--flip"),
        ({"rerank": True}, "--rerank"),
        ({"init": "hog"}, "--init=hog"),
    ):
        with pytest.raises(ValueError, match=f"--distance=euclidean with {words}, which compares"):
            evaluate(look(distance="euclidean", **beside))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("not a result")
    with pytest.raises(ValueError, match=r"mine holds files but no results\.json"):
        evaluate(look(workdir=str(tmp_path / "mine")))
    with pytest.raises(ValueError, match="holds no run"):
        evaluate(look(init=tmp_path / "typo"))
    write_run(tmp_path / "begun", settings())
    with pytest.raises(ValueError, match=r"begun has no embedder_last\.weights\.h5; its first epoch"):
        evaluate(look(init=tmp_path / "begun"))
