import json
import statistics
from pathlib import Path

import pytest

from mmgl_tf.modes.evaluation.result_table import mean_over_runs, print_results, protocol_lines


def figure(mean, std=0.0):
    return {"mean": mean, "std": std, "values": [mean]}


def cell(rank1=0.5, **changes):
    return {
        "search": "all",
        "shots": 1,
        "direction": "infrared_to_visible",
        "draw": "seeded",
        "rerank": False,
        "trials": 10,
        "queries": 16,
        "queries_without_match": 0,
        "gallery": 8,
        "rank1": figure(rank1, 0.0123),
        "rank5": figure(0.9),
        "rank10": figure(0.95),
        "rank20": figure(1.0),
        "mAP": figure(0.61, 0.024),
        "mINP": figure(0.4),
        "feature": "neck",
        "weights": "last",
        "flip": False,
        "paper": None,
    } | changes


def results(*cells, **changes):
    return {
        "dataset": "synthetic",
        "root": "worlds/one",
        "trained_on": "synthetic",
        "checkpoint": "runs/a",
        "status": "complete",
        "reason": None,
        "at_chance": None,
        "mode": "finetune",
        "method": "agw",
        "described": "AGW",
        "init": "runs/pre",
        "start": {"described": "MMGL, no identities", "status": "complete"},
        "trial": None,
        "protocol": {"name": "sysu", "excluded_cameras": {"3": [2]}, "identity_once": True},
        "cells": list(cells) or [cell()],
    } | changes


def printed(capsys, found):
    print_results(found, Path("runs/a/eval/synthetic"))
    return capsys.readouterr().out


def row(text, start):
    (line,) = [line for line in text.splitlines() if line.startswith(start)]
    return line.split()


def test_the_table_has_a_line_a_cell_with_mean_and_deviation(capsys):
    text = printed(capsys, results(cell(), cell(0.25, search="indoor", shots=10, gallery=40, weights="best")))
    assert " ".join(row(text, "all, 1-shot")) == (
        "all, 1-shot last neck 8 50.00 ± 1.23 95.00 ± 0.00 100.00 ± 0.00 61.00 ± 2.40 40.00 ± 0.00"
    )
    assert row(text, "indoor, 10-shot")[2:6] == ["best", "neck", "40", "25.00"]
    head = next(line for line in text.splitlines() if line.startswith("search"))
    titles = ["Rank-1", "Rank-10", "Rank-20", "mAP", "mINP"]
    assert [head.index(title) for title in titles] == sorted(head.index(title) for title in titles)
    assert "results    runs/a/eval/synthetic/results.json" in text


def test_where_it_was_trained_and_from_what_is_said(capsys):
    text = printed(capsys, results())
    assert "\nruns/a: AGW, from runs/pre: MMGL, no identities\n" in text
    assert "evaluated on synthetic in worlds/one\n" in text and "note" not in text
    text = printed(capsys, results(trained_on="sysu", start=None, init="runs/gone"))
    assert "runs/a: AGW, from runs/gone\n" in text
    assert "evaluated on synthetic in worlds/one; trained on sysu\n" in text
    text = printed(capsys, results(start={"described": None, "status": "complete"}))
    assert "runs/a: AGW, from runs/pre\n" in text
    text = printed(capsys, results(start={"described": "BYOL, no identities", "status": "collapsed"}))
    assert "note       the status of the run that it started from was collapsed\n" in text
    none = {"method": None, "init": None, "start": None}
    text = printed(capsys, results(mode="pretrain", described="Supervised (infrared)", **none))
    assert "runs/a: pooled features, pre-trained as Supervised (infrared), not fine-tuned\n" in text
    text = printed(capsys, results(mode="import", described=None, **none))
    assert "runs/a: pooled features, not fine-tuned\n" in text
    text = printed(capsys, results(mode="import", described=None, **none | {"method": "agw"}))
    assert "runs/a: AGW\n" in text
    text = printed(capsys, results(mode=None, described=None, trained_on=None, checkpoint="hog", **none))
    assert "hog: no learning\n" in text and "; trained on" not in text


def test_papers_numbers_and_fails_stand_beside(capsys):
    paper = {"table": "II", "rank1": 0.5661, "rank10": 0.9, "rank20": 0.95, "mAP": 0.545}
    text = printed(
        capsys,
        results(cell(paper=paper), cell(search="indoor", paper={"table": "III", "failed": True})),
    )
    assert " ".join(row(text, "all, 1-shot")).endswith("40.00 ± 0.00 56.61, 54.50")
    assert " ".join(row(text, "indoor, 1-shot")).endswith("40.00 ± 0.00 fail")


def test_queries_without_a_match_are_said_and_only_then(capsys):
    assert "no image of their person" not in printed(capsys, results())
    found = results(cell(queries_without_match=1), cell(search="indoor", queries_without_match=3))
    assert "3 queries have no image of their person in some gallery; they count in no mean" in printed(
        capsys, found
    )


def test_both_directions_are_told_apart(capsys):
    cells = [
        cell(search="", shots=0, direction=direction)
        for direction in ("visible_to_infrared", "infrared_to_visible")
    ]
    text = printed(capsys, results(*cells))
    assert row(text, "visible to infrared") and row(text, "infrared to visible")
    text = printed(capsys, results(cells[0]))
    assert row(text, "whole gallery")


def test_the_protocol_in_sentences():
    first, camera, rule = protocol_lines(results())
    assert "sysu: 16 queries, galleries drawn with Python's generator seeded by the trial, as AGW" in first
    assert camera.strip() == "queries of camera 3 are not compared with camera 2"
    assert rule.strip() == (
        "the match curve counts each gallery identity once; mAP and mINP count images; mean over 10 trials"
    )
    protocol = {"name": "regdb", "excluded_cameras": {}, "identity_once": False}
    first, rule = protocol_lines(
        results(cell(draw="all", trials=1, flip=True, rerank=True), protocol=protocol)
    )
    assert first.endswith("regdb: 16 queries, the whole gallery")
    assert "counts gallery images;" in rule
    assert rule.endswith("mean over 1 trial, flip averaged, k-reciprocal re-ranking")
    assert "exp/rand_perm_cam.mat" in protocol_lines(results(cell(draw="official")))[0]


def test_how_a_run_ended_is_said_unless_it_is_complete(capsys):
    assert "status" not in printed(capsys, results())
    text = printed(capsys, results(status="fail", reason="loss/triplet stopped being finite"))
    assert (
        "note       this run's status is fail: loss/triplet stopped being finite; these are weights" in text
    )
    assert "note       fail: mAP is" in printed(capsys, results(at_chance="mAP is no better"))
    assert "status is unfinished; these are weights from before" in printed(
        capsys, results(status="unfinished")
    )


def test_the_mean_over_runs_is_over_the_same_cells(tmp_path, capsys):
    """Runs are a sample, so their deviation is divided by n - 1, as the paper's trials are not."""
    runs = [
        results(
            cell(value), cell(value / 2, weights="best"), cell(0.9, feature="pool"), checkpoint=f"{value}"
        )
        for value in (0.2, 0.4, 0.9)
    ]
    runs[1]["cells"] = runs[1]["cells"][1::-1]  # another order, and one cell fewer
    mean_over_runs(runs, tmp_path / "mean.json")
    text = capsys.readouterr().out
    assert "mean and standard deviation over 3 runs" in text and "note" not in text
    lines = [line.split() for line in text.splitlines() if line.startswith("all, 1-shot")]
    assert [line[2:8] for line in lines] == [
        ["last", "neck", "8", "50.00", "±36.06", "95.00"],
        ["best", "neck", "8", "25.00", "±18.03", "95.00"],
    ]
    assert f"results    {tmp_path / 'mean.json'}" in text
    written = json.loads((tmp_path / "mean.json").read_text())
    assert written["runs"] == ["0.2", "0.4", "0.9"] and written["trials"] == [None] * 3
    assert [found["weights"] for found in written["cells"]] == ["last", "best"]
    rank1 = written["cells"][0]["rank1"]
    assert rank1["values"] == [0.2, 0.4, 0.9] and rank1["mean"] == pytest.approx(0.5)
    assert rank1["std"] == pytest.approx(statistics.stdev([0.2, 0.4, 0.9]))


@pytest.mark.parametrize(
    ("trials", "methods", "note"),
    [
        ([1, 2, 3], "aaa", None),
        ([1, 2, 1], "aaa", "trials [1, 2, 1] are not all different"),
        ([None, None, None], "aaa", None),
        ([1, 2, 3], "aab", "the runs are of different methods"),
    ],
)
def test_runs_that_are_no_sample_of_one_thing_are_noted(tmp_path, capsys, trials, methods, note):
    runs = [results(trial=trial, method=method) for trial, method in zip(trials, methods, strict=True)]
    mean_over_runs(runs, tmp_path / "mean.json")
    notes = [line for line in capsys.readouterr().out.splitlines() if line.startswith("note")]
    assert len(notes) == (note is not None) and all(note in line for line in notes)
    assert json.loads((tmp_path / "mean.json").read_text())["trials"] == trials


def test_runs_without_a_common_cell_have_no_mean(tmp_path, capsys):
    mean_over_runs([results(cell(feature="descriptor")), results(cell())], tmp_path / "mean.json")
    assert "no setting in common" in capsys.readouterr().out
    assert not (tmp_path / "mean.json").exists()


@pytest.mark.parametrize("missing", ["rank10", "rank20"])
def test_a_rank_that_a_cell_lacks_has_no_column(capsys, missing):
    short = cell()
    del short[missing]
    head = next(line for line in printed(capsys, results(cell(), short)).splitlines() if "weights" in line)
    assert {"rank10": "Rank-10", "rank20": "Rank-20"}[missing] not in head and "Rank-1 " in head
