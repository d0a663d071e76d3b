"""The engine with a stand-in for main.py: order, sharing, failures, kills, two engines at once."""

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from experiments import stage_files
from experiments.cell import Arm, Experiment, cells_of
from experiments.running import NOTE_EVERY_SECONDS, Engine

ROOT = Path(__file__).resolve().parents[2]
STUB = Path(__file__).with_name("stub_main.py")
ARMS = (Arm("random"), Arm("MMGL", {}), Arm("no PCC", {"pcc": False}))
# An engine of its own, to be killed: the words after it are root, seeds.
ENGINE = f"""
import sys
from experiments.running import Engine
from tests.experiments.test_experiment_engine import stages
sys.exit(Engine(stages(sys.argv[1]), main=[sys.executable, {str(STUB)!r}], poll_seconds=0.02).run())
"""


def stages(root, arms=ARMS, seeds=(0,)):
    cells = cells_of(Experiment("", arms), seeds, "smoke", {}, root)
    return [stage for cell in cells for stage in cell.stages]


def run(root, chosen=None, lanes=2, lines=None):
    say = [].append if lines is None else lines.append
    chosen = stages(root) if chosen is None else chosen
    return Engine(chosen, lanes, [sys.executable, str(STUB)], say, poll_seconds=0.02).run()


def calls(root):
    path = Path(root) / "calls.txt"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def called(root):
    return sorted((call["mode"], call["run"]) for call in calls(root))


def directory(root, mode, text):
    (found,) = {s.directory for s in stages(root) if s.mode == mode and text in s.directory.as_posix()}
    return found


def wait_for(condition, seconds=10):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


@pytest.fixture
def engine_process(tmp_path):
    """Starts engines as processes; none of them, nor their children, outlives the test."""
    started = []

    def start():
        env = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(STUB.parent)])}
        words = [sys.executable, "-c", ENGINE, str(tmp_path)]
        started.append(
            subprocess.Popen(words, cwd=ROOT, env=env, stdout=subprocess.PIPE, start_new_session=True)
        )
        return started[-1]

    yield start
    (tmp_path / "release").touch()
    for process in started:
        process.kill()
        process.communicate()


def test_each_stage_runs_once_after_what_it_needs_and_never_again(tmp_path):
    shared = (*ARMS, Arm("MMGL, trunk x0.1", {}, {"trunk_lr_multiplier": 0.1}))
    chosen = stages(tmp_path, shared, seeds=(0, 1))
    assert run(tmp_path, chosen) == 0
    found = calls(tmp_path)
    # Two seeds of: 2 pre-trainings for 3 arms, 4 fine-tunings, 4 evaluations.
    assert len(found) == 2 * (2 + 4 + 4)
    assert len(set(called(tmp_path))) == len(found)
    ends = {(call["mode"], call["run"]): call["end"] for call in found}
    starts = {(call["mode"], call["run"]): call["start"] for call in found}
    for stage in chosen:
        name = stage.directory.parent.name if stage.mode == "eval" else stage.directory.name
        if stage.needs is not None:
            assert ends[stage.needs.mode, stage.needs.directory.name] < starts[stage.mode, name]
        done = stage_files.read_done(stage)
        assert done["status"] == 0 and done["seconds"] >= 0 and f"--mode={stage.mode}" in done["command"]
        assert "the stub was here" in stage_files.last_lines(stage)
    assert run(tmp_path, chosen) == 0
    assert len(calls(tmp_path)) == len(found)


def test_lanes_work_at_once_each_on_one_thread_of_one_core(tmp_path):
    (tmp_path / "slow").write_text("pretrain")
    chosen = stages(tmp_path, ARMS[1:])
    (tmp_path / "release").touch()
    assert run(tmp_path, chosen, lanes=1) == 0
    spans = sorted((call["start"], call["end"]) for call in calls(tmp_path))
    assert all(end < start for (_, end), (start, _) in itertools.pairwise(spans))
    assert {call["threads"] for call in calls(tmp_path)} == {"1"}
    if hasattr(os, "sched_getaffinity"):
        assert {tuple(call["cores"]) for call in calls(tmp_path)} == {(min(os.sched_getaffinity(0)),)}


def test_two_lanes_run_two_stages_on_two_cores(tmp_path, engine_process):
    (tmp_path / "slow").write_text("pretrain")
    engine = engine_process()
    wait_for(lambda: len(list(tmp_path.glob("running_*"))) == 2)
    (tmp_path / "release").touch()
    assert engine.wait(timeout=30) == 0
    first, second = [call for call in calls(tmp_path) if call["mode"] == "pretrain"]
    assert first["start"] < second["end"] and second["start"] < first["end"]
    if hasattr(os, "sched_getaffinity") and len(os.sched_getaffinity(0)) > 1:
        assert first["cores"] != second["cores"] and len(first["cores"]) == 1


def test_the_longest_chain_starts_first(tmp_path):
    long = Arm("long", None, {"epochs": 40})
    assert run(tmp_path, stages(tmp_path, (*ARMS[:2], long)), lanes=1) == 0
    order = [(call["mode"], call["run"]) for call in calls(tmp_path)]
    assert "epochs_40" in order[0][1]
    assert order[1][0] == "pretrain"


def test_a_diverged_fine_tuning_is_a_result_and_is_not_evaluated(tmp_path):
    (tmp_path / "exit_3").write_text("finetune-smoke-random")
    assert run(tmp_path) == 0
    run_directory = directory(tmp_path, "finetune", "random")
    (fine,) = [s for s in stages(tmp_path) if s.directory == run_directory]
    assert stage_files.read_done(fine)["status"] == 3
    assert ("eval", run_directory.name) not in called(tmp_path)
    count = len(calls(tmp_path))
    assert count == 2 + 3 + 2
    (tmp_path / "exit_3").unlink()
    assert run(tmp_path) == 0
    assert len(calls(tmp_path)) == count


def test_a_fail_status_of_an_evaluation_is_an_error(tmp_path):
    (tmp_path / "exit_3").write_text("eval_finetune-smoke-random")
    assert run(tmp_path) == 1
    assert run(tmp_path) == 1


def test_a_broken_run_stops_only_what_needs_it_and_is_tried_again(tmp_path):
    broken = directory(tmp_path, "pretrain", "nopcc")
    (tmp_path / "exit_1").write_text(broken.name)
    lines = []
    assert run(tmp_path, lines=lines) == 1
    assert any("exit status 1" in line and str(broken) in line for line in lines)
    assert any("the stub was here" in line for line in lines)
    # Both pre-trainings were tried; random's and MMGL's fine-tuning and evaluation went on.
    assert len(calls(tmp_path)) == 2 + 2 + 2
    (tmp_path / "exit_1").unlink()
    assert run(tmp_path) == 0
    assert len(calls(tmp_path)) == 6 + 3


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_reaches_the_runs_once_and_is_waited_for(tmp_path, engine_process, signum):
    (tmp_path / "slow").write_text("pretrain")
    engine = engine_process()
    wait_for(lambda: len(list(tmp_path.glob("running_*"))) == 2)
    os.killpg(engine.pid, signum)  # as a terminal's Ctrl-C does: to the whole group
    assert engine.wait(timeout=20) == 128 + signum
    saved = list(tmp_path.glob("*/.saved"))
    assert [path.read_text() for path in saved] == ["1", "1"]
    assert not list(tmp_path.glob("*/.engine/done.json"))
    spent = [json.loads(path.read_text())["seconds"] for path in tmp_path.glob("*/.engine/spent.json")]
    assert len(spent) == 2 and all(0.1 < seconds < NOTE_EVERY_SECONDS for seconds in spent)

    (tmp_path / "slow").unlink()
    assert run(tmp_path) == 0
    resumed = [call for call in calls(tmp_path) if call["resumed"]]
    assert [call["mode"] for call in resumed] == ["pretrain", "pretrain"]
    for path in tmp_path.glob("pretrain*/.engine/done.json"):
        assert json.loads(path.read_text())["seconds"] > min(spent)  # both attempts count
    assert not list(tmp_path.glob("*/.engine/spent.json"))


def test_what_a_killed_engine_left_running_is_not_started_twice(tmp_path, engine_process):
    (tmp_path / "slow").write_text("pretrain")
    engine = engine_process()
    wait_for(lambda: len(list(tmp_path.glob("running_*"))) == 2)
    engine.kill()
    engine.wait()
    second = engine_process()
    time.sleep(1.0)
    assert len(list(tmp_path.glob("running_*"))) == 2, "the orphans still hold their runs"
    (tmp_path / "release").touch()
    assert second.wait(timeout=30) == 0
    spans = {}
    for call in calls(tmp_path):
        spans.setdefault((call["mode"], call["run"]), []).append((call["start"], call["end"]))
    for times in spans.values():
        times.sort()
        assert all(end <= start for (_, end), (start, _) in itertools.pairwise(times))


def test_two_engines_share_the_work(tmp_path, engine_process):
    (tmp_path / "slow").write_text("pretrain")
    first = engine_process()
    wait_for(lambda: len(list(tmp_path.glob("running_*"))) == 2)
    second = engine_process()
    # The second finds both pre-trainings taken and does what is left: random's fine-tuning and evaluation.
    wait_for(lambda: len(calls(tmp_path)) == 2)
    assert [call[0] for call in called(tmp_path)] == ["eval", "finetune"]
    (tmp_path / "release").touch()
    assert first.wait(timeout=30) == 0 and second.wait(timeout=30) == 0
    assert len(calls(tmp_path)) == len(set(called(tmp_path))) == 2 + 3 + 3


def test_where_the_runs_are_is_told_when_nothing_else_happens(tmp_path, monkeypatch):
    monkeypatch.setattr("experiments.running.SAY_EVERY_SECONDS", 0.2)
    (tmp_path / "slow").write_text("finetune")
    lines = []

    def say(line):
        lines.append(line)
        if "  " + directory(tmp_path, "finetune", "random").name in line:
            (tmp_path / "release").touch()

    words = [sys.executable, str(STUB)]
    assert Engine(stages(tmp_path, ARMS[:1]), 1, words, say, poll_seconds=0.02).run() == 0
    told = [line for line in lines if line.endswith(": at work")]
    assert told and told[0].startswith("0/2 done, 1 running, ")
    (where, *_) = (line for line in lines if line.startswith("  "))
    assert where.endswith("half done")
    took = max(call["end"] - call["start"] for call in calls(tmp_path))
    assert took < 8, "it was told of only when the run had given up waiting"
