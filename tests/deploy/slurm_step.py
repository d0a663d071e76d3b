"""Stand-ins for what deploy/cluster.slurm calls: srun, scontrol, and the interpreter of the workers."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "deploy" / "cluster.slurm"

SCONTROL = r"""#!/bin/bash
[ "$*" = "show hostnames $SLURM_JOB_NODELIST" ] && printf '%s\n' $HOSTS
"""
# One session for each task, as SLURM signals all of its processes. The status is that of srun's source
# (_task_finish): the highest signal of a task, else the highest exit status. --wait ends with SIGKILL;
# so does what the tasks leave behind.
SRUN = """
import json, os, signal, subprocess, sys, time

words = sys.argv[1:]
options = words[: words.index("bash")]
signal.signal(signal.SIGINT, signal.SIG_DFL)
tasks = [
    subprocess.Popen(
        words[len(options) :], env=os.environ | {"SLURM_PROCID": str(number)}, start_new_session=True
    )
    for number in range(len(os.environ["HOSTS"].split()))
]
with open("sruns", "a") as file:
    print(json.dumps({"options": options, "groups": [task.pid for task in tasks]}), file=file)
patience = None
while any([task.poll() is None for task in tasks]):
    time.sleep(0.01)
    if patience is None and any(task.returncode is not None for task in tasks):
        patience = time.monotonic() + float(os.environ["WAIT"])
    if patience is not None and time.monotonic() > patience:
        for task in tasks:
            if task.poll() is None:
                os.killpg(task.pid, signal.SIGKILL)
for task in tasks:
    try:
        os.killpg(task.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
statuses = [task.returncode for task in tasks]
signals = [-status for status in statuses if status < 0]
sys.exit(128 + max(signals) if signals else max(statuses))
"""
# Ends as the plan says: [end of worker 0, of worker 1] for each start, the last one for all further
# starts. 129 to 159 is a signal, but for 130 and 143, with which main.py exits. "save" exits so when asked.
PYTHON = """
import json, os, signal, sys, time

config = json.loads(os.environ["TF_CONFIG"])
index = config["task"]["index"]
facts = {
    "config": config,
    "words": sys.argv[1:],
    "no_grpc_proxy": os.environ.get("no_grpc_proxy"),
    "ignores_sigint": signal.getsignal(signal.SIGINT) == signal.SIG_IGN,
}
signals = []
for signum in (signal.SIGINT, signal.SIGTERM):
    signal.signal(signum, lambda signum, frame: signals.append(signum))
with open(f"starts.{index}", "a") as file:
    print(json.dumps(facts), file=file)
start = len(open(f"starts.{index}").readlines())
plan = json.loads(os.environ["PLAN"])
end = plan[min(start, len(plan)) - 1][index]
limit = time.monotonic() + 20
while end in ("hang", "save") and time.monotonic() < limit and not (end == "save" and signals):
    time.sleep(0.01)
if end == "save":
    time.sleep(0.3)  # a second signal would arrive now
    open(f"saved.{index}", "w").close()
    end = 128 + signals[0] if len(signals) == 1 else 99
if end == "hang":
    end = 99
if 128 < end < 160 and end not in (130, 143):
    os.kill(os.getpid(), end - 128)
os._exit(end)
"""


class Job:
    """One run of the script in a directory of its own.

    Args:
        path: the directory.
        *plan: for each start, how the workers end; see above.
        words: what stands behind the script's name.
        wait_seconds: srun's --wait, shorter.
        environment: {name: value, or None to leave it out}.
    """

    def __init__(self, path, *plan, words=(), wait_seconds=5, environment=None):
        self.path = path
        for name, code in (("srun", SRUN), ("python", PYTHON)):
            self._program(name, f"#!{sys.executable} -IS\n{code}")
        self._program("scontrol", SCONTROL)
        given = {
            "PATH": f"{path}:{os.environ['PATH']}",
            "PYTHON": str(path / "python"),
            "HOSTS": "alpha beta",
            "SLURM_JOB_NODELIST": "[alpha-beta]",
            "SLURM_JOB_ID": "4711",
            "SLURM_CPUS_PER_TASK": "16",
            "PLAN": json.dumps(plan),
            "WAIT": str(wait_seconds),
        } | (environment or {})
        self.process = subprocess.Popen(
            ["bash", str(SCRIPT), *words],
            cwd=path,
            env={name: value for name, value in given.items() if value is not None},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def _program(self, name, text):
        (self.path / name).write_text(text)
        (self.path / name).chmod(0o755)

    def ended(self):
        """(exit status, number of starts, text)."""
        text = self.process.communicate(timeout=30)[0]
        return self.process.returncode, len(self.sruns()), text

    def sruns(self):
        return self._lines("sruns")

    def starts(self, index):
        return self._lines(f"starts.{index}")

    def _lines(self, name):
        path = self.path / name
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def signal(self, signum):
        """To all processes of the step, once the workers are there."""
        limit = time.monotonic() + 10
        while not (self.starts(0) and self.starts(1) and self.sruns()):
            assert time.monotonic() < limit
            time.sleep(0.01)
        for group in self.sruns()[-1]["groups"]:
            os.killpg(group, signum)

    def clean(self):
        """Leave nothing behind."""
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        for step in self.sruns():
            for group in step["groups"]:
                with suppress(ProcessLookupError):
                    os.killpg(group, signal.SIGKILL)
