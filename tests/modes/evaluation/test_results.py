"""What results.json says of a run, and when the paper has a number for the very same thing."""

import dataclasses
import shutil

import pytest

from mmgl_tf.modes.evaluation.results import about, cell, judged
from mmgl_tf.modes.start import note_start
from mmgl_tf.pipelines.records import INFRARED, VISIBLE, DatasetSplits, Protocol, Sample, Split
from mmgl_tf.retrieval.gallery_draws import Setting
from mmgl_tf.retrieval.published import published
from tests.modes.small_run import published_settings, settings, write_run

PROTOCOL = Protocol("sysu", excluded_cameras={3: (2,)}, gallery_cameras={"all": (1, 2)}, identity_once=True)
SPLITS = DatasetSplits(
    "sysu",
    "trees/sysu",
    query=Split("query", (Sample("a", 1, 3, INFRARED),), PROTOCOL),
    gallery=Split("gallery", (Sample("b", 1, 1, VISIBLE),), PROTOCOL),
)


class Scored:
    """Stands for `mmgl_tf.retrieval.protocols.Result`."""

    def __init__(self, **changes):
        self.figures = {
            **Setting("all", 1, "infrared_to_visible")._asdict(),
            "draw": "seeded",
            "rerank": False,
        }
        self.figures |= changes

    def as_dict(self):
        return dict(self.figures)


@pytest.fixture
def paper_like(tmp_path):
    """Function changes -> what results.json says of a run like the paper's AGW, from MMGL on SYSU-MM01."""
    write_run(tmp_path / "pre", published_settings("pretrain", "mmgl"), status="complete")

    def make(start=None, splits=SPLITS, status="complete", evaluation=None, method="agw", **changes):
        given = {"init": str(tmp_path / "pre")} | changes
        write_run(tmp_path / "run", published_settings("finetune", method, **given), status=status)
        looked_at = {"init": str(start or tmp_path / "run"), "method": method, "seed": 9, "trial": 4}
        return about(settings("eval", **looked_at, **(evaluation or {})), splits, PROTOCOL)

    return make


@pytest.fixture
def start_of(tmp_path):
    """Function method, changes -> the directory of a pre-training like the paper's, but for the changes."""

    def make(method="mmgl", status="complete", **changes):
        write_run(tmp_path / "start", published_settings("pretrain", method, **changes), status=status)
        return str(tmp_path / "start")

    return make


def test_the_protocol_and_the_run_are_said(paper_like, tmp_path):
    found = paper_like(seed=5)
    assert found["protocol"] == {
        "name": "sysu",
        "gallery_draw": "all",
        "gallery_cameras": {"all": [1, 2]},
        "excluded_cameras": {"3": [2]},
        "identity_once": True,
    }
    assert (found["mode"], found["method"], found["seed"], found["trial"]) == ("finetune", "agw", 5, None)
    assert found["init"] == str(tmp_path / "pre") and found["status"] == "complete"
    (tmp_path / "run" / "summary.json").unlink()
    assert paper_like(status=None)["status"] == "unfinished"
    (tmp_path / "run" / "summary.json").write_text('{"status": "fail", "reason": "loss"}')
    found = paper_like(status=None)
    assert (found["status"], found["reason"], found["at_chance"]) == ("fail", "loss", None)
    (tmp_path / "run" / "summary.json").write_text('{"status": "complete", "at_chance": "no better"}')
    assert paper_like(status=None)["at_chance"] == "no better"
    found = paper_like(start=tmp_path / "pre")
    assert (found["mode"], found["method"], found["init"]) == ("pretrain", None, None)
    found = paper_like(start="hog")
    assert (found["mode"], found["status"], found["trained_on"]) == (None, "complete", None)


def test_the_papers_number_stands_beside_the_same_thing(paper_like):
    expected = published("sysu", "agw", "mmgl", "all", 1, "infrared_to_visible")
    assert expected is not None
    found = cell(Scored(), paper_like(), "neck", "last", False)
    assert found["paper"] == expected
    assert (found["feature"], found["weights"], found["flip"]) == ("neck", "last", False)
    random = cell(Scored(), paper_like(init="random"), "neck", "best", False)
    assert random["paper"] == published("sysu", "agw", "random", "all", 1, "infrared_to_visible")


@pytest.mark.parametrize(
    ("run", "scored", "feature", "flip"),
    [
        ({"backbone": "resnet10"}, {}, "neck", False),
        ({"epochs": 1}, {}, "neck", False),
        ({"trunk_lr_multiplier": 1.0}, {}, "neck", False),
        ({"image_height": 96, "image_width": 48}, {}, "neck", False),
        ({"preset": "demo", "backbone": "resnet50"}, {}, "neck", False),
        ({"triplet_weight": 0.5}, {}, "neck", False),
        ({"status": "collapsed"}, {}, "neck", False),
        ({"status": None}, {}, "neck", False),
        ({"evaluation": {"trials": 2}}, {}, "neck", False),
        ({"evaluation": {"count_identities": "never"}}, {}, "neck", False),
        ({"dataset": "synthetic"}, {}, "neck", False),
        ({"init": "gone"}, {}, "neck", False),
        ({"method": "two_stream"}, {}, "neck", False),
        ({}, {"draw": "official"}, "neck", False),
        ({}, {"rerank": True}, "neck", False),
        ({}, {"search": "", "shots": 0}, "neck", False),
        ({}, {}, "pool", False),
        ({}, {}, "neck", True),
    ],
)
def test_and_not_beside_anything_else(paper_like, run, scored, feature, flip):
    assert cell(Scored(**scored), paper_like(**run), feature, "last", flip)["paper"] is None


def test_nobody_found_is_a_fail_of_a_fine_tuning_that_was_long_enough_alone(paper_like, start_of):
    demo, smoke = (settings("eval", preset=name) for name in ("demo", "smoke"))
    tuned = paper_like()
    assert judged(demo, tuned) and not judged(smoke, tuned)
    assert not judged(demo, tuned | {"cells": [{}]}), "the first setting says"
    assert not judged(demo, tuned | {"at_chance": "no better"}), "it has been said"
    # A pre-training knows no people.
    assert not judged(demo, about(settings("eval", init=start_of()), SPLITS, PROTOCOL))


def test_mirror_images_are_averaged_where_the_methods_authors_do(paper_like, monkeypatch):
    monkeypatch.setattr("mmgl_tf.modes.evaluation.results.published", lambda *_: {"rank1": 0.5})
    found = paper_like(method="caj", evaluation={"flip": True})
    assert found["evaluation"] == {}
    assert cell(Scored(), found, "neck", "last", True)["paper"] == {"rank1": 0.5}
    assert cell(Scored(), found, "neck", "last", False)["paper"] is None
    assert paper_like(method="agw", evaluation={"flip": True})["evaluation"] == {"flip": True}


def test_regdbs_numbers_are_of_networks_fine_tuned_on_regdb(paper_like):
    """The paper's rows for RegDB start from MMGL on SYSU-MM01; AGW from scratch failed there."""
    splits = dataclasses.replace(SPLITS, name="regdb")
    way = "visible_to_infrared"
    scored = Scored(search="", shots=0, direction=way, draw="all")
    found = cell(scored, paper_like(splits=splits, dataset="regdb"), "neck", "last", False)
    assert found["paper"] == published("regdb", "agw", "mmgl", direction=way)
    found = cell(scored, paper_like(splits=splits, dataset="regdb", init="random"), "neck", "last", False)
    assert found["paper"]["failed"] is True
    found = paper_like(splits=splits)
    assert found["trial"] == 4 and found["trained_on"] == "sysu"
    assert cell(scored, found, "neck", "last", False)["paper"] is None


def test_what_it_started_from_is_said(paper_like, start_of, tmp_path):
    start = start_of("supervised", supervised_modalities="infrared", epochs=3, status="collapsed")
    found = paper_like(init=start, trunk_lr_multiplier=1.0)
    words = "Supervised (infrared) (as published but for epochs=3)"
    assert found["start"] == {
        "described": words,
        "dataset": "sysu",
        "status": "collapsed",
        "departures": {"epochs": 3, "supervised_modalities": "infrared"},
        "stream": "two",
    }
    assert (found["init"], found["pretraining"]) == (start, "supervised")
    assert found["described"] == "AGW (as published but for trunk_lr_multiplier=1.0)"
    found = paper_like(start=start)
    assert (found["start"], found["pretraining"], found["described"]) == (None, "supervised", words)
    (tmp_path / "pre" / "encoder_last.weights.h5").touch()
    found = paper_like(init=str(tmp_path / "pre" / "encoder_last.weights.h5"))
    assert found["start"]["described"] == "MMGL, no identities"
    for nothing in ({"init": "random"}, {"init": "gone"}, {"start": "hog"}):
        assert paper_like(**nothing)["start"] is None and paper_like(**nothing)["pretraining"] is None


def test_a_start_is_remembered_when_it_is_gone(paper_like, start_of, tmp_path):
    start = start_of("byol", byol_momentum=0.9)
    note_start(tmp_path / "run", start)
    shutil.rmtree(start)
    found = paper_like(init=start)["start"]
    assert found["described"] == "BYOL (as published but for byol_momentum=0.9), no identities"
    assert found["status"] == "complete"
    # What is there now may be another run than the one that it started from.
    start_of("simclr", status="collapsed")
    assert paper_like(init=start)["start"]["described"].startswith("BYOL")
    assert paper_like()["start"]["described"].startswith("MMGL"), "noted by an attempt from another start"
    note_start(tmp_path / "run", "random")
    assert paper_like(init="random")["start"] is None


@pytest.mark.parametrize(
    "changed",
    [
        {"dataset": "synthetic"},
        {"pcc": False},
        {"share_permutation": False},
        {"augmix_modalities": "none", "erase_modalities": "none"},
        {"epochs": 1, "image_height": 96, "image_width": 48, "batch_size": 2},
        {"optimizer": "adam", "learning_rate": 1e-9},
        {"backbone": "resnet10"},
        {"train_ids": "train"},
        {"stream": "one"},
        {"method": "byol", "recipe": "native"},
        {"method": "byol", "status": "collapsed"},
        {"status": "collapsed"},
        {"status": None},
    ],
    ids=str,
)
def test_a_start_that_is_not_the_papers_has_no_number(paper_like, start_of, changed):
    found = cell(Scored(), paper_like(init=start_of(**changed)), "neck", "last", False)
    assert found["paper"] is None


def test_a_start_that_is_fine_tuned_has_no_number(paper_like, tmp_path):
    write_run(tmp_path / "other", published_settings("finetune", "agw"), status="complete")
    assert cell(Scored(), paper_like(init=str(tmp_path / "other")), "neck", "last", False)["paper"] is None


def test_a_start_has_the_stems_of_the_network_behind_it(paper_like, start_of):
    expected = published("sysu", "one_stream", "mmgl", "all", 1, "infrared_to_visible")
    for stream, number in (("one", expected), ("two", None)):
        found = paper_like(method="one_stream", init=start_of(stream=stream))
        assert cell(Scored(), found, "neck", "last", False)["paper"] == number
    found = paper_like(init=start_of("byol", seed=5, deterministic=False))
    assert cell(Scored(), found, "neck", "last", False)["paper"] == published(
        "sysu", "agw", "byol", "all", 1, "infrared_to_visible"
    )
