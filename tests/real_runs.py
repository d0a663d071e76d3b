"""Runs of the program as a user starts them: real processes, real files, real kills."""

import json
import subprocess
import sys

from mmgl_tf.flags.config import unread_settings
from mmgl_tf.training.checkpoints import Checkpoints
from tests.forked_runs import ROOT, run_main


def command(cache, *flags):
    """The command line of a run whose images lie in `cache`."""
    return [sys.executable, "main.py", f"--cache_dir={cache}", *flags]


def read_by(mode, method, flags):
    """Those of some flags that a run reads."""
    unread = unread_settings(mode, method)
    return tuple(flag for flag in flags if flag.removeprefix("--").partition("=")[0] not in unread)


def run(cache, *flags, status=0):
    """A run to its end, which must be as expected; what it printed."""
    done = run_main(*command(cache, *flags)[2:], timeout=600)
    assert done.returncode == status, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


def run_and_signal(cache, lines, signum, *flags):
    """Starts a run and sends a signal once it has printed so many lines of steps; (exit status, printed)."""
    process = subprocess.Popen(
        command(cache, *flags), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    printed, seen = [], 0
    for line in process.stdout:
        printed.append(line)
        seen += line.startswith("epoch ")
        if line.startswith("epoch ") and seen == lines:
            process.send_signal(signum)
    process.stdout.close()
    return process.wait(timeout=60), "".join(printed)


def rows(root):
    """metrics.jsonl without what a clock measured."""
    found = [json.loads(line) for line in (root / "metrics.jsonl").read_text().splitlines()]
    return [{n: v for n, v in row.items() if not n.startswith(("time/", "throughput/"))} for row in found]


def last_checkpoint(root):
    """(arrays, note) of a run."""
    return Checkpoints(root / "checkpoints").latest()


def assert_same_end(root, reference):
    """The last checkpoints of two runs are equal to the last bit."""
    (found, note), (expected, expected_note) = last_checkpoint(root), last_checkpoint(reference)
    assert {**note, "seconds": 0} == {**expected_note, "seconds": 0}
    assert set(found) == set(expected)
    different = [name for name in expected if found[name].tobytes() != expected[name].tobytes()]
    assert not different, f"{len(different)} arrays differ, such as {different[:3]}"
