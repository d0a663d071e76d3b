"""The launcher: who gets what, who is started again, who is stopped, who is left behind."""

import json
import os
import signal
import sys

import pytest

from mmgl_tf.machines import local_workers
from tests.mmgl_tf.machines.launched_workers import HANG, IGNORE, ROOT, Directory, alive, gone


@pytest.fixture
def workers(tmp_path):
    directory = Directory(tmp_path)
    yield directory
    directory.clean()


def test_each_worker_gets_its_tf_config_and_the_same_words_that_no_shell_has_read(workers):
    words = ["--workdir=a b", "$HOME", "*", "; exit 9", "--"]
    assert workers.run("", words=words, workers=3) == (0, "", "")
    found = [workers.starts(index) for index in range(3)]
    assert [len(starts) for starts in found] == [1, 1, 1]
    configs = [starts[0]["config"] for starts in found]
    assert [config["task"] for config in configs] == [{"type": "worker", "index": i} for i in range(3)]
    assert configs[0]["cluster"] == configs[1]["cluster"] == configs[2]["cluster"]
    (addresses,) = configs[0]["cluster"].values()
    assert len(set(addresses)) == 3
    assert all(
        host == "127.0.0.1" and int(port) in local_workers.PORTS
        for host, port in (address.split(":") for address in addresses)
    )
    assert all(starts[0]["words"] == words for starts in found)


@pytest.mark.parametrize(
    ("words", "command"),
    [
        (["--mode=pretrain", "--x=1"], [sys.executable, str(ROOT / "main.py"), "--mode=pretrain", "--x=1"]),
        (["main.py", "--mode=pretrain"], [sys.executable, "main.py", "--mode=pretrain"]),
        (["python", "main.py", "--", "x"], ["python", "main.py", "--", "x"]),
    ],
)
def test_flags_alone_go_to_main_and_a_command_stays_as_it_is(monkeypatch, words, command):
    called = []
    monkeypatch.setattr(local_workers, "launch", lambda *arguments: called.append(arguments) or 0)
    assert local_workers.main(["--workers=2", "--restarts=5", "--grace_seconds=7", "--", *words]) == 0
    assert called == [(command, 2, 5, 7.0)]


@pytest.mark.parametrize(
    "words",
    [["--workers=2"], ["--workers=2", "--"], ["--workers=0", "--", "x"], ["--restarts=1", "--", "x"]]
    + [["--workers=2", option, "--", "x"] for option in ("--restarts=-1", "--grace_seconds=nan")],
)
def test_a_wrong_command_line_says_what_is_expected(capsys, words):
    with pytest.raises(SystemExit) as ended:
        local_workers.main(words)
    assert ended.value.code == 2
    assert "expected" in capsys.readouterr().err or "--workers" not in words


@pytest.mark.parametrize(
    ("gpus", "shares", "told"), [("4,5,6", ["4", "5"], 0), ("4", ["", ""], 1), ("", ["", ""], 0)]
)
def test_workers_share_the_gpus(monkeypatch, capsys, gpus, shares, told):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", gpus)
    code = "import json, os, sys; index = json.loads(os.environ['TF_CONFIG'])['task']['index']; "
    code += f"sys.exit(os.environ['CUDA_VISIBLE_DEVICES'] != {shares!r}[index])"
    assert local_workers.main(["--workers=2", "--", sys.executable, "-c", code]) == 0
    assert capsys.readouterr().err.count("fewer GPUs than 2 workers; they train on the processor") == told


def test_a_program_that_does_not_exist_is_one_line(capsys):
    assert local_workers.main(["--workers=2", "--", "no-such-program"]) == 1
    assert "no-such-program" in capsys.readouterr().err


def test_after_kill_9_of_one_the_hung_other_is_killed_and_all_start_again_on_other_ports(workers):
    code = IGNORE + "if start == 1: " + HANG
    launcher = workers.start(code, "--grace_seconds=0.3")
    workers.wait_for("ready.0", "ready.1")
    os.kill(workers.starts(1)[0]["pid"], signal.SIGKILL)
    status, _, errors = workers.end(launcher)
    assert status == 0
    first, second = workers.starts(0)
    assert not set(first["config"]["cluster"]["worker"]) & set(second["config"]["cluster"]["worker"])
    assert len(workers.starts(1)) == 2
    assert gone(first["pid"]) and workers.lines("signals.0") == []
    (line,) = errors.splitlines()
    assert "worker 1 was ended by signal 9" in line and "worker 0 did not end and was killed" in line
    assert "restart 1 of 3" in line


def test_75_starts_all_again_and_nobody_who_ends_within_the_grace_is_killed(workers):
    code = "if start == 1:\n    time.sleep(0 if index else 0.3); note('ended', str(index)); sys.exit(75)"
    status, _, errors = workers.run(code)
    assert status == 0
    assert workers.lines("ended") == ["1", "0"]
    assert [len(workers.starts(index)) for index in (0, 1)] == [2, 2]
    assert errors.count("\n") == 1 and "worker 1 ended with status 75; starting all 2 again" in errors


def test_after_the_last_restart_it_ends_with_75_and_says_so(workers):
    status, _, errors = workers.run("sys.exit(75 if index else 0)", "--restarts=2")
    assert status == 75
    assert len(workers.starts(0)) == len(workers.starts(1)) == 3
    *earlier, last = errors.splitlines()
    assert [line.rpartition("(")[2] for line in earlier] == ["restart 1 of 2)", "restart 2 of 2)"]
    assert "worker 1 ended with status 75" in last and "--restarts=2 is used up" in last


@pytest.mark.parametrize("failure", [1, 2, 3])
def test_another_status_stops_the_others_and_is_returned(workers, failure):
    chief = "signal.signal(signal.SIGTERM, lambda *_: (note('saved', 'x'), sys.exit(143)))\n"
    code = f"if index:\n    wait_for('ready.0'); sys.exit({failure})\n"
    status, _, errors = workers.run(IGNORE + chief + code + HANG, "--grace_seconds=2")
    assert status == failure
    assert workers.lines("saved") == ["x"]
    assert len(workers.starts(0)) == 1
    assert errors.count("\n") == 1 and f"worker 1 ended with status {failure}; all are stopped" in errors


def test_one_that_does_not_stop_for_a_failure_is_killed(workers):
    code = IGNORE + "if index:\n    wait_for('ready.0'); sys.exit(3)\n" + HANG
    status, _, errors = workers.run(code, "--grace_seconds=0.4")
    assert status == 3
    assert workers.lines("signals.0") == [str(int(signal.SIGTERM))]
    assert "worker 0 did not end and was killed; worker 1 ended with status 3" in errors
    assert gone(workers.starts(0)[0]["pid"])


def test_workers_that_fail_alike_are_left_to_say_so(workers):
    status, output, _ = workers.run(
        IGNORE + "if index: wait_for('ready.0')\nelse: time.sleep(0.3); print('said')\nsys.exit(3)"
    )
    assert (status, output) == (3, "said\n")
    assert workers.lines("signals.0") == []


@pytest.mark.parametrize(("consequence", "starts", "returned"), [(1, 2, 0), (3, 1, 3)])
def test_after_a_loss_1_is_a_consequence_and_3_is_not(workers, consequence, starts, returned):
    code = f"if start == 1:\n    time.sleep(0 if index else 0.3); sys.exit(75 if index else {consequence})"
    assert workers.run(code)[0] == returned
    assert len(workers.starts(0)) == starts


def test_a_worker_that_was_asked_to_stop_ends_the_run_without_a_signal_to_the_others(workers):
    code = (
        IGNORE
        + "wait_for('ready.0')\ntime.sleep(0 if index else 0.3)\nnote('ended', str(index)); sys.exit(143)"
    )
    status, _, errors = workers.run(code)
    assert status == 143
    assert workers.lines("ended") == ["1", "0"] and workers.lines("signals.0") == []
    assert len(workers.starts(0)) == 1 and "goes on from the last checkpoint" in errors


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_passed_on_once_and_waited_for(workers, signum):
    code = IGNORE + f"wait_for(f'signals.{{index}}'); time.sleep(0.3); sys.exit(128 + {int(signum)})"
    launcher = workers.start(code, "--grace_seconds=0.1")
    workers.wait_for("ready.0", "ready.1")
    os.killpg(launcher.pid, signum)  # as a terminal's Ctrl-C does: to the whole group
    status, _, errors = workers.end(launcher)
    assert status == 128 + signum
    assert workers.lines("signals.0") == workers.lines("signals.1") == [str(int(signum))]
    assert "killed" not in errors and len(workers.starts(0)) == 1


def test_a_signal_before_the_workers_know_it_ends_them_without_a_restart(workers):
    launcher = workers.start(HANG)
    workers.wait_for("starts.0", "starts.1")
    launcher.terminate()
    assert workers.end(launcher)[0] == 143
    assert len(workers.starts(0)) == 1


def test_complete_in_spite_of_a_signal_is_complete(workers):
    launcher = workers.start(IGNORE + "wait_for(f'signals.{index}')")
    workers.wait_for("ready.0", "ready.1")
    launcher.terminate()
    status, _, errors = workers.end(launcher)
    assert status == 0
    assert errors == "local_workers: SIGTERM passed on; waiting for the workers (again: kills them)\n"


def test_a_second_signal_kills(workers):
    launcher = workers.start(IGNORE + HANG)
    workers.wait_for("ready.0", "ready.1")
    launcher.terminate()
    workers.wait_for("signals.0", "signals.1")
    launcher.terminate()
    assert workers.end(launcher)[0] == 143
    assert all(gone(workers.starts(index)[0]["pid"]) for index in (0, 1))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of its parent's death")
def test_workers_do_not_outlive_a_launcher_that_was_killed(workers):
    launcher = workers.start(IGNORE + HANG)
    workers.wait_for("ready.0", "ready.1")
    pids = [workers.starts(index)[0]["pid"] for index in (0, 1)]
    assert all(alive(pid) for pid in pids)
    launcher.kill()
    assert all(gone(pid) for pid in pids)


def test_what_a_lost_worker_had_started_is_killed_with_it(workers):
    child = "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
    told = "note(f'child.{index}', json.dumps({'pid': child.pid})); sys.exit(75)\n"
    assert workers.run(child + told, "--restarts=0")[0] == 75
    pids = [json.loads(workers.lines(f"child.{index}")[0])["pid"] for index in (0, 1)]
    assert all(gone(pid) for pid in pids)


def test_a_worker_whose_port_another_program_took_counts_as_lost(workers):
    # A session of its own, so the launcher does not end it with the worker; it holds the worker's pipe, too.
    listen = "import socket, time; s = socket.create_server(('', {})); print(flush=True); time.sleep(60)"
    code = f"""
if start == 1 and index == 1:
    port = config["cluster"]["worker"][1].split(":")[1]
    words = [sys.executable, "-c", {listen!r}.format(port)]
    child = subprocess.Popen(words, stdout=subprocess.PIPE, start_new_session=True)
    note("child.1", json.dumps({{"pid": child.pid}}))
    child.stdout.readline()
    os.write(1, b"last words")
    os._exit(1)
"""
    status, output, errors = workers.run(code)
    assert status == 0 and output == "[worker 1] last words\n" and len(workers.starts(1)) == 2
    assert "worker 1 ended with status 1; another program holds its port" in errors


def test_the_chief_writes_as_it_is_and_lines_of_the_others_carry_their_name(workers):
    code = """
if index == 0:
    sys.stdout.write("step 1\\rstep 2\\n"); sys.stderr.write("a warning")
else:
    for part in ("one ", "line\\nand ", "another\\n\\nno end"):
        os.write(1, part.encode()); time.sleep(0.12)
    os.write(2, b", an error")
    os.write(1, b" \\xff")
"""
    launcher = workers.start(code)
    output = launcher.stdout.buffer.read()
    assert launcher.wait(timeout=20) == 0
    mine = b"".join(line for line in output.splitlines(keepends=True) if not line.startswith(b"[worker 1] "))
    assert mine == b"step 1\rstep 2\n"
    theirs = [line for line in output.split(b"\n") if line.startswith(b"[worker 1] ")]
    names = (
        b"[worker 1] one line",
        b"[worker 1] and another",
        b"[worker 1] ",
        b"[worker 1] no end, an error \xff",
    )
    assert theirs == list(names)
    assert launcher.stderr.read() == "a warning"


def test_there_are_never_fewer_ports_than_asked_for(monkeypatch):
    assert len(set(local_workers.free_ports(50))) == 50
    monkeypatch.setattr(local_workers, "PORTS", range(20_000, 20_002))
    with pytest.raises(OSError, match="3 free ports were wanted"):
        local_workers.free_ports(3)
