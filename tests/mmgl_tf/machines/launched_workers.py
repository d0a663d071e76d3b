"""A launcher of local workers as a process of its own, and tiny scripts as its workers."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
# Every worker writes down its process and cluster, one line a start; `start` counts from 1.
HEAD = """
import json, os, signal, subprocess, sys, time
from pathlib import Path

config = json.loads(os.environ["TF_CONFIG"])
index = config["task"]["index"]

def wait_for(name):
    end = time.monotonic() + 20
    while not Path(name).exists() and time.monotonic() < end:
        time.sleep(0.01)

def note(name, text):
    with open(name, "a") as file:
        file.write(text + "\\n")

def count(signum, frame):
    note(f"signals.{index}", str(signum))

note(f"starts.{index}", json.dumps({"pid": os.getpid(), "config": config, "words": sys.argv[1:]}))
start = len(Path(f"starts.{index}").read_text().splitlines())
"""
IGNORE = """
signal.signal(signal.SIGTERM, count)
signal.signal(signal.SIGINT, count)
Path(f"ready.{index}").touch()
"""
HANG = "time.sleep(60)\n"


class Directory:
    """Where a test's workers live, and what they wrote there."""

    def __init__(self, path):
        self.path = path
        self.launchers = []

    def start(self, code, *options, words=(), workers=2):
        (self.path / "worker.py").write_text(HEAD + code)
        command = [sys.executable, "-m", "mmgl_tf.machines.local_workers", f"--workers={workers}", *options]
        launcher = subprocess.Popen(
            [*command, "--", sys.executable, "worker.py", *words],
            cwd=self.path,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.launchers.append(launcher)
        return launcher

    def run(self, code, *options, **more):
        """(exit status, output, errors) of a launcher."""
        return self.end(self.start(code, *options, **more))

    def end(self, launcher):
        output, errors = launcher.communicate(timeout=40)
        return launcher.returncode, output, errors

    def lines(self, name):
        path = self.path / name
        return path.read_text().splitlines() if path.exists() else []

    def starts(self, index):
        return [json.loads(line) for line in self.lines(f"starts.{index}")]

    def wait_for(self, *names):
        end = time.monotonic() + 20
        while not all((self.path / name).exists() for name in names):
            assert time.monotonic() < end, f"no {names}"
            time.sleep(0.01)

    def clean(self):
        """End every process that a test may have left."""
        for launcher in self.launchers:
            if launcher.poll() is None:
                launcher.kill()
            launcher.wait()
            launcher.stdout.close()
            launcher.stderr.close()
        for path in [*self.path.glob("starts.*"), *self.path.glob("child.*")]:
            for line in path.read_text().splitlines():
                pid = json.loads(line)["pid"]
                if alive(pid):
                    os.kill(pid, signal.SIGKILL)


def alive(pid):
    """Whether a process runs; one that only waits to be reaped does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")
    return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] != "Z"


def gone(pid):
    end = time.monotonic() + 5
    while alive(pid) and time.monotonic() < end:
        time.sleep(0.01)
    return not alive(pid)
