import os
import re
from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks import compile_step, scaling
from benchmarks.scaling_case import MARK, part_of
from benchmarks.train_step import drawn_batch
from mmgl_tf.pipelines.batches.shards import Shards

CORES = [0, 1]


def child(program):
    return scaling.Child(["-c", program], set(os.sched_getaffinity(0)), {})


def case_of(*programs, name="some"):
    case = scaling.Case.__new__(scaling.Case)
    case.name, case.children = name, [child(program) for program in programs]
    return case


def test_the_rows_of_all_replicas_are_the_batch():
    batch = drawn_batch(4, 12, 6)
    parts = [part_of(batch, Shards(0, 2, 2), replica) for replica in (0, 1)]
    for name in ("visible", "infrared"):
        np.testing.assert_array_equal(np.concatenate([part[name] for part in parts]), batch[name])
    halves = [part["permutation"].numpy().reshape(2, 2, -1) for part in parts]
    np.testing.assert_array_equal(np.concatenate(halves, axis=1).reshape(8, -1), batch["permutation"])


def test_every_case_gets_all_cores_or_one_for_each_replica():
    cases, left_out = scaling.plan([2, 4], 2, "all", CORES, 0)
    assert [(strategy, total) for _, strategy, total, *_ in cases] == [
        ("none", 1),
        ("mirrored", 2),
        ("mirrored", 4),
        ("multi_worker", 2),
    ]
    assert all(own == {0, 1} for *_, cores in cases for own in cores)
    assert left_out == []
    cases, left_out = scaling.plan([2, 4], 2, "each", CORES, 0)
    assert [cores for *_, cores in cases] == [[{0}], [{0, 1}], [{0}, {1}]]
    assert left_out == ["4 in one process: left out, there are 2 cores"]
    assert scaling.plan([2, 4], 0, "all", CORES, 2)[1] == ["4 in one process: left out, there are 2 GPUs"]


def test_the_slowest_process_and_the_processor_time_of_all_count():
    program = f"input(); print('noise'); print('{MARK}' + '{{\"seconds\": [%s], \"processor\": %s}}')"
    case = case_of(program % ("1, 5, 2", "3"), program % ("4, 4, 4", "1"))
    try:
        assert case.take("alone", 3) == (4, 4)
    finally:
        case.stop()


def test_a_process_that_ends_is_shown_with_its_last_words():
    case = case_of("raise RuntimeError('no such device')")
    try:
        with pytest.raises(SystemExit, match=r"(?s)no such device.*ended too early"):
            case._answers()
    finally:
        case.stop()


def test_a_process_that_hangs_is_not_waited_for_for_ever(monkeypatch):
    monkeypatch.setattr(scaling, "PATIENCE_SECONDS", 0.1)
    case = case_of("input()", name="stuck")
    try:
        with pytest.raises(SystemExit, match="stuck: no answer"):
            case._answers()
    finally:
        case.stop()


def test_ratios_are_taken_within_a_turn():
    found = {
        ("1 replica", "alone"): [(1.0, 1.0), (2.0, 2.0), (4.0, 4.0)],
        ("two", "own live"): [(0.5, 2.0), (1.0, 4.0), (2.0, 8.0)],
        ("two", "own silent"): [(0.25, 1.0), (0.75, 1.0), (1.5, 1.0)],
    }
    step, rate, speed, processor, communication = scaling.row(found, "two", "own", 8)
    assert step == "1000 [500, 2000]"
    assert rate == "8 [4, 16]"
    assert speed == "2.00 [2.00, 2.00]"
    assert processor == "2.00 [2.00, 2.00]"
    assert communication == "25 [25, 50] %"
    assert scaling.row(found, "1 replica", "", 8)[:2] == ["2000 [1000, 4000]", "4 [2, 8]"]


def test_cases_take_turns_forwards_and_backwards():
    taken = []
    cases = [
        SimpleNamespace(
            name=name,
            variants=("alone",),
            take=lambda variant, steps, name=name: taken.append(name) or (1, 1),
        )
        for name in "ab"
    ]
    found = scaling.measure(cases, 3, 1)
    assert taken == ["a", "b", "b", "a", "a", "b"]
    assert [len(values) for values in found.values()] == [3, 3]


def test_steps_with_and_without_xla_take_turns_and_the_first_calls_are_apart():
    times, calls = iter(range(100)), []
    steps = {name: lambda name=name: calls.append(name) or 0.5 for name in ("plain", "XLA")}
    first, seconds, results = compile_step.compare(steps, 2, lambda: next(times))
    assert calls == ["plain", "XLA"] * 4
    assert first == {"plain": 1, "XLA": 1}
    assert seconds == {"plain": [1, 1], "XLA": [1, 1]}
    assert results["XLA"] == [0.5] * 4


@pytest.mark.slow
def test_two_workers_and_two_devices_are_measured(capsys):
    scaling.main(["--size=96x32", "--batch=4", "--replicas=2", "--workers=2", "--turns=1", "--steps=1"])
    shown = capsys.readouterr().out
    for name in ("1 replica", "2 in one process", "2 processes"):
        assert re.search(rf"^{name} .*\d+ \[\d+, \d+\]", shown, re.MULTILINE), shown
    assert len(re.findall(r" 2 of \d", shown)) == 2  # each one's own batch norm: gradients and rows alone
    assert len(re.findall(r" 30 of \d", shown)) == 2


@pytest.mark.slow
def test_the_step_compiles_under_xla(capsys, monkeypatch):
    monkeypatch.setattr(compile_step.os, "sched_setaffinity", lambda *_: None)  # this process has other tests
    compile_step.main(["--size=96x32", "--batch=4", "--rounds=1", "--precisions=float32"])
    assert "speed with XLA" in capsys.readouterr().out
