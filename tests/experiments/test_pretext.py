"""What pre-trainings learnt, untrained arms and --pictures of the experiments."""

import json

import pytest

import experiments.__main__ as command
from experiments import stage_files
from experiments.cell import Arm, Experiment, cells_of
from experiments.pretext import pretext_by_method, pretext_rows
from experiments.results import METRICS, Selection
from experiments.tables import table
from mmgl_tf.figures import HAS_NONE, Figure, as_json

EXPERIMENT = Experiment(
    "About it.",
    (
        Arm("chance", untrained="chance"),
        Arm("random"),
        Arm("MMGL", {}),
        Arm("no PCC, no part", {"pcc": False, "part": False}),
    ),
    reference="random",
)
LAST = {
    "validation/accuracy/permutation_whole_visible": 0.9,
    "validation/accuracy/permutation_whole_infrared": 0.7,
    "validation/accuracy/permutation_stripe_visible": 0.95,
    "validation/accuracy/permutation_stripe_infrared": 0.85,
    "validation/accuracy/part_visible": 0.5,
    "validation/accuracy/part_infrared": 0.25,
    "matching/part_mass": 0.831,
    "matching/identity_lift": 1.27,
    "accuracy/part": 0.99,
    "loss/part": 0.3,
    "matching/curves_alone": 7.0,
    "step": 1200,
}
FIGURES = (
    Figure("loss/part", "part loss", 1.79),
    Figure("accuracy/permutation_whole", "whole order right", 1 / 720, "share", held_out=True),
    Figure("accuracy/permutation_stripe", "stripes right", 1 / 6, "share", held_out=True),
    Figure("accuracy/part", "parts right", 1 / 6, "share", held_out=True),
    Figure("matching/part_mass", "same part", 1 / 6, "share", source="probe"),
    Figure("matching/identity_lift", "lift", 1.0, "free", source="probe"),
    Figure("matching/curves_alone", "curves alone", HAS_NONE, source="probe", summary=False),
)
TITLES = ["whole order right %", "stripes right %", "parts right %", "same part %", "lift"]
FIRST = "pre-training, people held out, visible / infrared"


@pytest.fixture
def cells(tmp_path):
    """(all cells, {(arm, seed): cell}) of two seeds."""
    found = cells_of(EXPERIMENT, range(2), "demo", {}, tmp_path)
    return found, {(cell.arm.name, cell.seed): cell for cell in found}


def finish(stage, mark=0, figures=FIGURES, **summary):
    stage_files.write_done(stage, mark, 60.0, [])
    if summary:
        (stage.directory / "figures.json").write_text(as_json(figures))
        (stage.directory / "summary.json").write_text(json.dumps(summary))


def evaluated(cell, rank1, **changes):
    """Leave what a complete evaluation leaves."""
    finish(cell.stages[-1])
    about = {"search": "all", "shots": 1, "direction": "infrared_to_visible", "feature": "neck"}
    about |= {"weights": "last", "draw": "seeded", "flip": False, "rerank": False, "trials": 10}
    values = {metric: {"mean": rank1 / 100} for metric in METRICS}
    path = cell.run / "eval" / "synthetic" / "results.json"
    path.parent.mkdir()
    content = about | {"queries": 1600, "gallery": 800} | values | changes
    path.write_text(json.dumps({"dataset": "synthetic", "cells": [content]}))


def rows_of(text):
    lines = [[word.strip() for word in line.strip("|").split("|")] for line in text.splitlines()]
    return {line[0]: line[1:] for line in lines if len(line) > 1}


def test_figures_are_means_over_seeds_of_both_modalities_by_hand(cells):
    found, by_name = cells
    assert pretext_rows(EXPERIMENT, found) == ([FIRST], [])
    finish(by_name["MMGL", 0].stages[0], last=LAST)
    assert pretext_rows(EXPERIMENT, found) == (
        [FIRST, *TITLES],
        [["MMGL", "90.0 / 70.0", "95.0 / 85.0", "50.0 / 25.0", "83.1", "1.27"]],
    )
    other = LAST | {
        "validation/accuracy/permutation_whole_visible": 0.8,
        "validation/accuracy/part_infrared": 0.35,
        "matching/identity_lift": 1.47,
    }
    finish(by_name["MMGL", 1].stages[0], last=other)
    # Deviations with n - 1 of two values: their difference over the square root of 2.
    assert pretext_rows(EXPERIMENT, found)[1] == [
        [
            *("MMGL", "85.0 ± 7.1 / 70.0 ± 0.0", "95.0 ± 0.0 / 85.0 ± 0.0", "50.0 ± 0.0 / 30.0 ± 7.1"),
            *("83.1 ± 0.0", "1.37 ± 0.14"),
        ]
    ]


def test_what_a_pre_training_does_not_learn_stays_empty(cells):
    found, by_name = cells
    without = {name: value for name, value in LAST.items() if "part_" not in name and "matching" not in name}
    finish(by_name["no PCC, no part", 0].stages[0], figures=FIGURES[1:3], last=without)
    finish(by_name["MMGL", 0].stages[0], last=LAST)
    finish(by_name["MMGL", 1].stages[0], status="complete")  # an older summary, without its last row
    _, rows = pretext_rows(EXPERIMENT, found)
    assert [row[0] for row in rows] == ["MMGL", "no PCC, no part"]
    assert rows[1][1:] == ["90.0 / 70.0", "95.0 / 85.0", "", "", ""]
    assert rows[0][1] == "90.0 / 70.0", "the seed without figures does not count"


def test_methods_are_told_by_their_own_figures_and_a_collapse_by_its_spread(cells):
    found, by_name = cells
    spread = Figure("projection/spread", "spread", HAS_NONE, source="probe")
    cluster = Figure(
        "prototypes/used", "clusters used", 0.25, "share", source="held_out", held_out_chance=0.5
    )
    last = {"projection/spread": 0.5, "projection/spread_visible": 0.013, "projection/spread_infrared": 0.9}
    finish(by_name["MMGL", 0].stages[0], last=LAST)
    own = (spread, cluster)
    finish(
        by_name["no PCC, no part", 0].stages[0],
        3,
        own,
        status="collapsed",
        last=last | {"prototypes/used": 0.125},
    )
    header, rows = pretext_by_method(EXPERIMENT, found)
    assert header == ["pre-training", "on people held out", "visible / infrared", "chance"]
    assert rows == [
        ["MMGL", "whole order right %", "90.0 / 70.0", "0.1"],
        ["MMGL", "stripes right %", "95.0 / 85.0", "16.7"],
        ["MMGL", "parts right %", "50.0 / 25.0", "16.7"],
        ["MMGL", "same part %", "83.1", "16.7"],
        ["MMGL", "lift", "1.27", "1.00"],
        ["no PCC, no part", "spread", "0.01 / 0.90, both 0.50", ""],
        ["no PCC, no part", "clusters used %", "12.5", "50.0"],
    ]


def test_a_run_of_an_earlier_version_is_told_by_its_method(cells):
    found, by_name = cells
    stage = by_name["MMGL", 0].stages[0]
    finish(stage, last=LAST)
    (stage.directory / "figures.json").unlink()
    assert pretext_rows(EXPERIMENT, found) == ([FIRST], []), "nor is its method known"
    (stage.directory / "config.json").write_text('{"mode": "pretrain", "method": "mmgl", "num_stripes": 6}')
    header, rows = pretext_rows(EXPERIMENT, found)
    assert dict(zip(header, rows[0], strict=True))["stripes put right %"] == "95.0 / 85.0"


def test_an_arm_without_pre_training_has_no_row_whatever_it_left(cells):
    found, by_name = cells
    finish(by_name["random", 0].stages[0], last=LAST)
    assert pretext_rows(EXPERIMENT, found)[1] == []


def test_what_was_never_trained_stands_in_the_table_but_in_no_difference(cells):
    found, by_name = cells
    evaluated(by_name["chance", 0], 0.66, feature="descriptor", weights="none")
    for seed in (0, 1):
        finish(by_name["random", seed].stages[0])
        evaluated(by_name["random", seed], 3.0 + seed)
        for stage in by_name["MMGL", seed].stages[:2]:
            finish(stage, last=LAST)
        evaluated(by_name["MMGL", seed], 7.0 + 2 * seed)
    text = table("example", EXPERIMENT, found, Selection())
    # The protocol is the runs': chance has neither feature nor weights, and is no other way of measuring.
    assert "neck feature, last weights" in text
    shown = rows_of(text)
    # One evaluation stands for all seeds: no deviation, no steps, no time.
    assert shown["chance"] == ["0.7 / 0.7", "0.7 / 0.7", *["0.7 ± 0.0"] * 5, "", ""]
    assert shown["MMGL - random"][:3] == ["+4.5 ± 0.7", "9.0", "2/2"]
    assert "chance - random" not in shown
    assert shown[FIRST] == TITLES
    # The last table with this name in its first column is the pre-training's.
    assert shown["MMGL"][3:] == ["83.1 ± 0.0", "1.27 ± 0.00"]


@pytest.fixture
def drawing(monkeypatch, tmp_path):
    """Function words -> (exit status, commands that were run), with a table of nothing."""
    calls = []

    class Done:
        returncode = 5

    def run(words):
        calls.append(words)
        return Done

    monkeypatch.setattr(command.subprocess, "run", run)
    monkeypatch.setattr(command, "EXPERIMENTS", {"example": EXPERIMENT})
    monkeypatch.setattr(command, "table", lambda *arguments: "the table")
    root = tmp_path.as_posix()

    def call(*words):
        calls.clear()
        return command.main(["example", "--table", "--seeds=2", f"--root={root}", *words]), calls

    return call


def test_pictures_show_what_the_first_seeds_pre_trainings_said(cells, drawing, capsys):
    """F1 of the demo: accuracy and losses beside chance are printed there too, not only in a log."""
    _, by_name = cells
    for name, seed in (("MMGL", 0), ("MMGL", 1), ("random", 0)):
        directory = by_name[name, seed].stages[0].directory
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "summary.txt").write_text(f"\nstripes put right, {name} {seed}\n")
    drawing()
    assert "stripes put right" not in capsys.readouterr().out
    drawing("--pictures")
    printed = capsys.readouterr().out
    assert "stripes put right, MMGL 0" in printed and printed.count("stripes put right") == 1
    assert str(by_name["MMGL", 0].stages[0].directory) in printed
    assert printed.index("stripes put right") < printed.index("the table")


def test_pictures_show_the_first_seeds_trained_runs_side_by_side(cells, drawing, tmp_path):
    _, by_name = cells
    assert drawing("--pictures") == (0, []), "nothing is trained yet"
    for name in ("random", "no PCC, no part"):
        for seed in (0, 1):
            finish(by_name[name, seed].stages[-2])
    finish(by_name["MMGL", 0].stages[-2], mark=3)  # diverged: there is nothing to draw
    finish(by_name["MMGL", 0].stages[-3])
    finish(by_name["chance", 0].stages[-1])
    assert drawing() == (0, [])
    status, calls = drawing("--pictures")
    runs = ",".join(by_name[name, 0].run.as_posix() for name in ("random", "no PCC, no part"))
    assert calls == [
        [
            *command.MAIN,
            "--mode=visualize",
            f"--init={runs}",
            # A comma in a name would be taken for the end of it.
            "--run_names=random,no PCC; no part",
            f"--workdir={tmp_path.as_posix()}/visualize-example",
        ]
    ]
    assert status == 5, "what the drawing ended with"
