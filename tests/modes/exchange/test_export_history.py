"""What a model card tells of a run."""

import json
import shutil

from mmgl_tf.flags.config import from_flat, to_flat
from mmgl_tf.modes.exchange.export_history import earlier_figures, terms, trained_on
from mmgl_tf.modes.saved_run import run_settings
from mmgl_tf.modes.start import note_start
from mmgl_tf.pipelines.records import DatasetSplits
from tests.modes.small_run import settings


def write(root, mode="finetune", status=None, **changes):
    root.mkdir()
    flat = to_flat(settings(mode, **changes))
    (root / "config.json").write_text(json.dumps(flat))
    if status:
        (root / "summary.json").write_text(json.dumps({"status": status}))
    return root


def looking_at(root):
    own = {name: value for name, value in run_settings(root).items() if name != "dataset"}
    return from_flat(own | {"mode": "export", "init": str(root)})


def test_the_chain_of_starts_is_told(tmp_path):
    first = write(tmp_path / "first", "pretrain", "complete", dataset="synthetic", world_seed=5, epochs=12)
    second = write(
        tmp_path / "second",
        status="complete",
        dataset="regdb",
        trial=4,
        method="agw",
        init=str(first),
        seed=9,
    )
    told = trained_on(looking_at(second))
    assert len(told) == 2
    for words in ("second: fine-tuned as AGW", "regdb (trial 4)", "seed 9", "the run is complete"):
        assert words in told[0]
    for words in ("first: pre-trained as MMGL", "drawn people", "seed 5", "12 epochs"):
        assert words in told[1]


def test_what_is_not_known_is_said(tmp_path):
    begun = write(tmp_path / "begun", init="random", dataset="sysu")
    assert trained_on(looking_at(begun))[0].endswith("the run is unfinished.")
    assert trained_on(looking_at(begun))[1] == "It started from random weights."
    gone = write(tmp_path / "gone", init=str(tmp_path / "weights.h5"), dataset="sysu")
    assert "started from weights.h5, of which nothing more is known" in trained_on(looking_at(gone))[1]


def test_a_start_that_is_gone_is_told_as_it_was(tmp_path):
    first = write(tmp_path / "first", "pretrain", "collapsed", method="byol", dataset="sysu")
    second = write(tmp_path / "second", init=str(first))
    note_start(second, str(first))
    shutil.rmtree(first)
    told = trained_on(looking_at(second))[1]
    assert told.startswith("first: pre-trained as BYOL") and told.endswith("the run is collapsed.")


def test_an_import_is_told_as_such(tmp_path):
    root = write(tmp_path / "agw", "import", checkpoint="/somewhere/agw_sysu.t", dataset="sysu")
    (told,) = trained_on(looking_at(root))
    assert told.startswith("agw: imported from agw_sysu.t, 96x48 pixels; said to be trained on sysu.")
    flat = run_settings(root)
    del flat["dataset"]
    (root / "config.json").write_text(json.dumps(flat))
    assert "what it was trained on is not known" in trained_on(looking_at(root))[0]
    assert terms(looking_at(root), None)["licence"] == ""


def test_the_licence_is_that_of_what_was_trained_on(tmp_path):
    root = write(tmp_path / "run", dataset="sysu")
    sysu = DatasetSplits("sysu", "/data", licence="on request", citation="Wu et al.")
    assert terms(looking_at(root), sysu) == {"licence": "on request", "citation": "Wu et al."}
    other = DatasetSplits("regdb", "/data", licence="another's", citation="Nguyen et al.")
    assert terms(looking_at(root), other)["licence"] == "", "evaluated on, not trained on"
    drawn = write(tmp_path / "drawn", dataset="synthetic")
    assert "drawn" in terms(looking_at(drawn), None)["licence"]


def test_earlier_figures_are_those_of_the_same_weights_and_feature(tmp_path):
    root = write(tmp_path / "run")
    cells = [
        {"weights": weights, "feature": feature, "mAP": {"mean": 0.5}}
        for weights in ("last", "best")
        for feature in ("neck", "pool")
    ]
    for name, text in (("sysu", json.dumps({"cells": cells})), ("half", '{"cells": ['), ("other", "{}")):
        (root / "eval" / name).mkdir(parents=True)
        (root / "eval" / name / "results.json").write_text(text)
    assert earlier_figures(looking_at(root), "best", "neck") == [("sysu", cells[2])]
