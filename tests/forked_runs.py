"""Runs of main.py in processes of their own, forked from one that has imported TensorFlow already.

Importing it takes longer than most of what these runs do. All else is as a user has it: arguments, files,
what is printed where, exit status. What must also be seen from a new interpreter, such as a run that goes on
where another was killed, starts one with `subprocess`.
"""

import atexit
import multiprocessing
import os
import runpy
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload(["tensorflow", "keras"])


def run_main(*flags, timeout=300):
    """`python main.py` with some flags, from the root of the project.

    Args:
        *flags: anything with a text.
        timeout: seconds, then it is killed.

    Returns:
        `subprocess.CompletedProcess`, with `stdout` and `stderr` as text.

    Raises:
        subprocess.TimeoutExpired: it took too long.
    """
    arguments = ["main.py", *map(str, flags)]
    with tempfile.TemporaryDirectory(prefix="forked-run-") as directory:
        printed = [Path(directory, name) for name in ("stdout", "stderr")]
        process = _SERVER.Process(target=_become_main, args=(arguments, *map(str, printed)))
        process.start()
        process.join(timeout)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired(arguments, timeout)
        texts = [path.read_text() if path.exists() else "" for path in printed]
    return subprocess.CompletedProcess(arguments, process.exitcode, *texts)


def _become_main(arguments, stdout, stderr):
    """What the forked process does."""
    for number, path in ((1, stdout), (2, stderr)):
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(file, number)
        os.close(file)
    sys.stdout, sys.stderr = (os.fdopen(number, "w", closefd=False) for number in (1, 2))
    os.chdir(ROOT)
    sys.argv, sys.path[0] = arguments, str(ROOT)
    try:
        runpy.run_path("main.py", run_name="__main__")
    finally:
        sys.stdout.flush()
        atexit._run_exitfuncs()  # multiprocessing leaves them out
