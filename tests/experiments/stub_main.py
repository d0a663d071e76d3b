"""Stands for main.py in the tests of the engine: leaves what a run leaves, at once, and misbehaves if asked.

What a call does is read from files beside the run directories: a run whose "mode_directory" contains a line
of `exit_1` or `exit_3` ends with that status, one that contains a line of `slow` takes up to ten seconds,
until the file `release` appears. Each call is noted in `calls.txt`.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path

flags = dict(word.removeprefix("--").partition("=")[::2] for word in sys.argv[1:])
evaluation = flags["mode"] == "eval"
run = Path(flags["init"] if evaluation else flags["workdir"])
desk = run.parent
signals = []
for signum in (signal.SIGTERM, signal.SIGINT):
    signal.signal(signum, lambda signum, frame: signals.append(signum))


def listed(name):
    path = desk / name
    lines = path.read_text().split() if path.exists() else []
    return any(line in f"{flags['mode']}_{run.name}" for line in lines)


note = {
    "mode": flags["mode"],
    "run": run.name,
    "pid": os.getpid(),
    "resumed": (run / "half_done").exists(),
    "cores": sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [],
    "threads": os.environ["OMP_NUM_THREADS"],
    "start": time.monotonic(),
}
if not evaluation:
    strangers = {path.name for path in run.glob("[!.]*")} - {"half_done", "weights"}
    assert not strangers, strangers  # as main.py has it: a run directory holds a run or nothing
if flags.get("init", "random") != "random":
    assert (Path(flags["init"]) / "weights").exists(), "started before what it needs was there"
run.mkdir(parents=True, exist_ok=True)
if listed("slow"):
    (run / "half_done").touch()
    print("half done", flush=True)
    (desk / f"running_{os.getpid()}").touch()
    end = time.monotonic() + 10
    while time.monotonic() < end and not (desk / "release").exists():
        if signals:
            time.sleep(0.2)  # the step is finished, the checkpoint saved
            (run / ".saved").write_text(str(len(signals)))
            sys.exit(128 + signals[0])
        time.sleep(0.01)
with open(desk / "calls.txt", "a") as calls:
    calls.write(json.dumps(note | {"end": time.monotonic()}) + "\n")
print("the stub was here", flush=True)
for status in (1, 3):
    if listed(f"exit_{status}"):
        sys.exit(status)
if evaluation:
    (run / "eval" / "synthetic").mkdir(parents=True, exist_ok=True)
else:
    (run / "weights").touch()
