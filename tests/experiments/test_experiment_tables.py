"""Tables against numbers worked out by hand."""

import json

import pytest

from experiments import stage_files
from experiments.__main__ import main
from experiments.cell import Arm, Experiment, cells_of
from experiments.paired import mean_and_deviation, paired_difference
from experiments.results import METRICS, Selection, read
from experiments.tables import markdown, table

EXPERIMENT = Experiment(
    "About it.",
    (
        Arm(
            "random", paper={"all": {"rank1": 25.47, "mAP": 26.07}, "indoor": {"rank1": 26.38, "mAP": 35.96}}
        ),
        Arm("MMGL", {}, paper={"all": {"rank1": 56.61, "mAP": 54.5}}, note="A remark."),
        Arm("no PCC", {"pcc": False}, partner="MMGL", paper={"all": {"rank1": "fail", "mAP": "fail"}}),
    ),
    reference="random",
    paper="Table V",
)
SELECTION = Selection()


def result_cell(rank1, mean_ap, **changes):
    values = {metric: {"mean": 0.5, "std": 0.0, "values": [0.5]} for metric in METRICS}
    values |= {"rank1": {"mean": rank1 / 100}, "mAP": {"mean": mean_ap / 100}}
    about = {
        "search": "all",
        "shots": 1,
        "direction": "infrared_to_visible",
        "feature": "neck",
        "weights": "last",
        "draw": "seeded",
        "flip": False,
        "rerank": False,
        "trials": 10,
        "queries": 1600,
        "gallery": 800,
    }
    return about | values | changes


def finish(cell, *result_cells, steps=1510, seconds=100.0):
    """Leave on disk what a complete cell leaves; a fine-tuning takes `seconds`, a pre-training twice that."""
    *before, fine, evaluation = cell.stages
    for stage in before:
        stage_files.lock(stage)
        stage_files.write_done(stage, 0, 2 * seconds, [])
        (stage.directory / "summary.json").write_text('{"last": {"step": 1200}}')
    stage_files.lock(fine)
    stage_files.write_done(fine, 0, seconds, [])
    stage_files.lock(evaluation)
    stage_files.write_done(evaluation, 0, 5.0, [])
    results = {"dataset": "synthetic", "steps": steps, "cells": list(result_cells)}
    path = fine.directory / "eval" / "synthetic" / "results.json"
    path.parent.mkdir()
    path.write_text(json.dumps(results))


def fail(cell, stage=-2):
    stage_files.lock(cell.stages[stage])
    stage_files.write_done(cell.stages[stage], 3, 30.0, [])


def cells(root, seeds=3):
    found = cells_of(EXPERIMENT, range(seeds), "demo", {}, root)
    return found, {(cell.arm.name, cell.seed): cell for cell in found}


def rows(text):
    """{first column: [the other columns]} of all tables in Markdown; an arm's is that of the first table."""
    lines = [
        [word.strip() for word in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"
    ]
    return {line[0]: line[1:] for line in reversed(lines)}


def test_spread_and_paired_difference_by_hand():
    found = mean_and_deviation([1.0, 2.0, 6.0])
    # Deviations from 3: -2, -1, 3; squares 14; over n - 1 = 2: 7.
    assert (found.n, found.mean, found.deviation) == (3, 3.0, pytest.approx(7**0.5))
    assert mean_and_deviation([]) is None and mean_and_deviation([4.0]).deviation is None
    # Differences 1, 4, -2: mean 1, sd 3, t = 1 / (3 / sqrt 3).
    found = paired_difference({0: 3.0, 1: 6.0, 2: 0.0, 3: 9.0}, {0: 2.0, 1: 2.0, 2: 2.0, 4: 1.0})
    assert (found.statistics.n, found.statistics.mean, found.statistics.deviation) == (3, 1.0, 3.0)
    assert found.t == pytest.approx(1 / 3**0.5) and found.same_sign == 2
    assert paired_difference({0: 1.0, 1: 1.0}, {0: 2.0, 1: 2.0}).t is None
    assert paired_difference({0: 1.0, 1: 1.0}, {0: 2.0, 1: 2.0}).same_sign == 2
    assert paired_difference({0: 1.0}, {1: 1.0}) is None


def test_a_run_that_found_nobody_but_by_chance_is_a_fail(tmp_path):
    found, by_name = cells(tmp_path, seeds=1)
    for cell in found:
        finish(cell, result_cell(3.0, 4.0))
    learnt = by_name["MMGL", 0].stages[-2].directory / "summary.json"
    learnt.write_text('{"last": {"step": 9}}')
    blind = by_name["random", 0].stages[-2].directory / "summary.json"
    blind.write_text('{"last": {"step": 9}, "at_chance": "mAP is not above chance"}')
    shown = rows(table("example", EXPERIMENT, found, SELECTION))
    assert shown["random"][:2] == ["fail", "fail"] and shown["MMGL"][0] == "3.0 / 4.0"


def test_the_table_by_hand(tmp_path):
    found, by_name = cells(tmp_path)
    for seed, (random, mmgl) in enumerate([((2.96, 4.67), (7.31, 9.09)), ((3.14, 4.79), (7.52, 8.85))]):
        finish(by_name["random", seed], result_cell(*random))
        finish(by_name["MMGL", seed], result_cell(*mmgl), seconds=100.0 + 20 * seed)
    finish(by_name["random", 2], result_cell(2.74, 4.39))
    finish(by_name["MMGL", 2], result_cell(8.15, 9.08))
    finish(by_name["no PCC", 0], result_cell(7.6, 9.51))
    fail(by_name["no PCC", 1])
    text = table("example", EXPERIMENT, found, SELECTION)
    assert "1 of 9 cells are still to be run" in text and "- MMGL: A remark." in text
    assert "all search, single-shot, infrared to visible, 1,600 queries, 800 in the gallery" in text
    assert "neck feature, last weights" in text
    shown = rows(text)
    assert shown["arm"] == [
        *("seed 0", "seed 1", "seed 2", "Rank-1", "Rank-10", "Rank-20", "mAP", "mINP"),
        *("Table V: Rank-1 / mAP", "steps", "time"),
    ]
    # Means 2.947, 4.617 and 7.66, 9.007; standard deviations .200, .205 and .437, .136.
    assert shown["random"] == [
        *("3.0 / 4.7", "3.1 / 4.8", "2.7 / 4.4", "2.9 ± 0.2", "50.0 ± 0.0", "50.0 ± 0.0", "4.6 ± 0.2"),
        *("50.0 ± 0.0", "25.5 / 26.1", "1,510", "1:40"),
    ]
    assert shown["MMGL"][3:] == [
        *("7.7 ± 0.4", "50.0 ± 0.0", "50.0 ± 0.0", "9.0 ± 0.1", "50.0 ± 0.0", "56.6 / 54.5"),
        *("1,200 + 1,510", "3:33 + 1:47"),
    ]
    assert shown["no PCC"][:4] == ["7.6 / 9.5", "fail", "", "7.6 (1 fail)"]
    assert shown["no PCC"][8] == "fail"
    # +4.35 +4.38 +5.41: sd .603, t 13.5; +4.42 +4.06 +4.69: sd .316, t 24.1.
    assert shown["MMGL - random"] == ["+4.7 ± 0.6", "13.5", "3/3", "+4.4 ± 0.3", "24.1", "3/3"]
    assert shown["no PCC - MMGL"] == ["+0.3", "", "1/1", "+0.4", "", "1/1"]


def test_validation_columns_by_hand(tmp_path):
    found, by_name = cells(tmp_path)
    for arm, own in {"random": ((0.17, 8), (0.19, 10)), "MMGL": ((0.24, 7), (0.24, None))}.items():
        for seed, (score, best) in enumerate(own):
            finish(by_name[arm, seed], result_cell(3.0, 5.0))
            last = {"step": 1510, "epoch": 10, "validation/mAP": score}
            path = by_name[arm, seed].stages[-2].directory / "summary.json"
            path.write_text(json.dumps({"last": last, "best_epoch": best}))
    text = table("example", EXPERIMENT, found, SELECTION)
    shown = rows(text)
    assert "Validation mAP: of the last epoch" in text
    assert shown["arm"][-4:] == ["validation mAP", "best epoch", "steps", "time"]
    assert shown["random"][-4:-2] == ["18.0 ± 1.4", "8-10 of 10"]
    assert shown["MMGL"][-4:-2] == ["24.0 ± 0.0", "7 of 10"]
    assert shown["no PCC"][-4:-2] == ["", ""]


def test_an_empty_and_a_failed_experiment_are_tables_too(tmp_path):
    found, by_name = cells(tmp_path, seeds=1)
    assert "Nothing is evaluated yet" in table("example", EXPERIMENT, found, SELECTION)
    fail(by_name["random", 0])
    shown = rows(table("example", EXPERIMENT, found, SELECTION))
    assert shown["random"][:2] == ["fail", "fail"] and shown["MMGL"][:2] == ["", ""]
    assert shown["random"][-1] == "0:30"


def test_a_pre_training_that_failed_fails_its_arm(tmp_path):
    found, by_name = cells(tmp_path, seeds=2)
    fail(by_name["MMGL", 0], stage=0)
    finish(by_name["MMGL", 1], result_cell(8.15, 9.08))
    shown = rows(table("example", EXPERIMENT, found, SELECTION))
    assert shown["MMGL"][:3] == ["fail", "8.2 / 9.1", "8.2 (1 fail)"]


def test_the_selected_evaluation_is_shown(tmp_path):
    _, by_name = cells(tmp_path)
    cell = by_name["random", 0]
    kinds = [
        {},
        {"search": "indoor"},
        {"shots": 10},
        {"feature": "pool"},
        {"weights": "best"},
        {"direction": "visible_to_infrared"},
    ]
    finish(cell, *(result_cell(10 + i, 20 + i, **kind) for i, kind in enumerate(kinds)))
    chosen = [Selection(**kind) for kind in kinds]
    assert [round(read(cell, each).values["rank1"]) for each in chosen] == [10, 11, 12, 13, 14, 15]
    with pytest.raises(ValueError, match="0 evaluations match"):
        read(cell, Selection(search="indoor", shots=10))
    shown = rows(table("x", EXPERIMENT, [cell, by_name["MMGL", 0], by_name["no PCC", 0]], chosen[1]))
    assert shown["random"][6] == "26.4 / 36.0"
    assert shown["MMGL"][6] == ""
    assert (
        len(
            rows(table("x", EXPERIMENT, [cell, by_name["MMGL", 0], by_name["no PCC", 0]], chosen[2]))[
                "random"
            ]
        )
        == 8
    )


def test_a_protocol_without_search_and_shots_matches_and_two_alike_do_not(tmp_path):
    _, by_name = cells(tmp_path)
    finish(by_name["random", 0], result_cell(33, 44, search="", shots=0))
    assert read(by_name["random", 0], SELECTION).values["rank1"] == pytest.approx(33)
    assert "whole gallery" in read(by_name["random", 0], SELECTION).protocol
    finish(by_name["random", 1], result_cell(1, 2), result_cell(3, 4, flip=True))
    with pytest.raises(ValueError, match="2 evaluations match"):
        read(by_name["random", 1], SELECTION)


def test_cells_that_were_evaluated_differently_are_not_compared(tmp_path):
    found, by_name = cells(tmp_path, seeds=1)
    finish(by_name["random", 0], result_cell(1, 2))
    finish(by_name["MMGL", 0], result_cell(3, 4, flip=True))
    with pytest.raises(ValueError, match="mirrored"):
        table("example", EXPERIMENT, found, SELECTION)


def test_of_several_data_sets_one_must_be_chosen(tmp_path):
    _, by_name = cells(tmp_path)
    cell = by_name["random", 0]
    finish(cell, result_cell(1, 2))
    other = cell.run / "eval" / "sysu" / "results.json"
    other.parent.mkdir()
    other.write_text(json.dumps({"dataset": "sysu", "steps": 7, "cells": [result_cell(5, 6)]}))
    with pytest.raises(ValueError, match="choose with --dataset from: synthetic, sysu"):
        read(cell, SELECTION)
    reading = read(cell, Selection(dataset="sysu"))
    assert reading.values["rank1"] == pytest.approx(5) and reading.steps == (None, 7)


def test_markdown_is_aligned():
    assert markdown(["a", "b"], [["xyz", "1"], ["x", "234"]]).splitlines() == [
        "| a   |   b |",
        "| --- | --: |",
        "| xyz |   1 |",
        "| x   | 234 |",
    ]


def test_the_command_line(tmp_path, capsys):
    words = ["--seeds=2", f"--root={tmp_path}"]
    assert main(["--list", *words]) == 0
    listed = capsys.readouterr().out
    assert "6 cells, 8 runs, 8 to do" in listed and "table6_tall" in listed
    assert main(["main", "--table", *words, "--search=indoor", "--flags=--world_seed=1"]) == 0
    shown = capsys.readouterr().out
    assert "6 of 6 cells are still to be run" in shown
    assert (
        "`python -m experiments main --seeds=2 --preset=demo --flags=--world_seed=1 --search=indoor`" in shown
    )
    for wrong, reason in (
        (["nothing"], "unknown experiment"),
        ([], "which experiment"),
        (["main", "--seeds=none"], "--seeds"),
        (["main", "--seeds=0"], "--seeds"),
        (["main", "--flags=--nonsense=1"], "nonsense"),
    ):
        assert main([*words, *wrong]) == 1
        assert reason in capsys.readouterr().err


def test_a_run_of_other_defaults_is_refused(tmp_path, capsys):
    stage = cells_of(EXPERIMENT, [0], "demo", {}, tmp_path)[1].stages[0]
    stage.directory.mkdir()
    (stage.directory / "config.json").write_text('{"nce_tau": 0.5}')
    assert main(["main", "--table", f"--root={tmp_path}"]) == 1
    assert "nce_tau was 0.5, is now 0.07" in capsys.readouterr().err
