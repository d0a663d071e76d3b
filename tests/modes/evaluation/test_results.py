"""What results.json says of a run, and when the paper has a number for the very same thing."""

import dataclasses

import pytest

from mmgl_tf.modes.evaluation.results import about, cell
from mmgl_tf.pipelines.records import INFRARED, VISIBLE, DatasetSplits, Protocol, Sample, Split
from mmgl_tf.retrieval.gallery_draws import Setting
from mmgl_tf.retrieval.published import published
from tests.modes.small_run import settings, write_run

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
    write_run(tmp_path / "pre", settings("pretrain", dataset="sysu", backbone="resnet50"))

    def make(start=None, splits=SPLITS, **changes):
        given = {"method": "agw", "dataset": "sysu", "backbone": "resnet50", "init": str(tmp_path / "pre")}
        write_run(tmp_path / "run", settings(**(given | changes)))
        return about(settings("eval", init=str(start or tmp_path / "run"), seed=9, trial=4), splits, PROTOCOL)

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
    assert found["init"] == str(tmp_path / "pre") and found["status"] == "unfinished"
    (tmp_path / "run" / "summary.json").write_text('{"status": "fail", "reason": "loss"}')
    found = paper_like()
    assert (found["status"], found["reason"]) == ("fail", "loss")
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


def test_the_pretraining_is_titled_with_the_setting_that_its_name_holds(paper_like, tmp_path):
    write_run(tmp_path / "seen", settings("pretrain", method="supervised", supervised_modalities="infrared"))
    for found in (paper_like(start=tmp_path / "seen"), paper_like(init=str(tmp_path / "seen"))):
        assert found["pretraining_title"] == "Supervised (infrared)"
    for found in (paper_like(start=tmp_path / "pre"), paper_like()):
        assert found["pretraining_title"] == "MMGL"
    for nothing in ({"init": "random"}, {"init": "gone"}, {"start": "hog"}):
        assert paper_like(**nothing)["pretraining_title"] is None


@pytest.mark.parametrize("start", [{"dataset": "synthetic"}, {"mode": "finetune", "dataset": "sysu"}])
def test_a_start_that_is_not_the_papers_has_no_number(paper_like, tmp_path, start):
    write_run(tmp_path / "other", settings(**({"mode": "pretrain"} | start)))
    found = cell(Scored(), paper_like(init=str(tmp_path / "other")), "neck", "last", False)
    assert found["paper"] is None
