"""What the engine keeps about a stage, in .engine/ of its directory: mark of completion, time, lock, log.

It is hidden, because main.py refuses a directory that holds something else than a run, and inside, because
whoever deletes a run then deletes its mark as well.

done.json       {"status": 0, or 3 for the paper's "fail", "seconds": of all attempts, "command": [...]};
                written last and atomically, so that whoever sees it may rely on the stage
spent.json      {"seconds": ...} of attempts that did not reach the end, renewed while the stage runs
lock            held by the process that works on the stage and, inherited, by the process of main.py itself:
                where an engine was killed and its child lives on, nobody starts the same run a second time
log.txt         what main.py printed, all attempts one after the other
"""

import json
import os

from mmgl_tf.run_directory import atomic_file

try:
    import fcntl
except ImportError:  # Windows; two engines with the same stages at once are then the user's to avoid.
    fcntl = None

COMPLETE, FAIL = 0, 3  # exit statuses of main.py that end a stage for good; 3 = diverged or collapsed


def read_done(stage):
    """The mark of a complete stage, or None.

    Args:
        stage: `experiments.cell.Stage`.

    Returns:
        {"status", "seconds", "command"} or None.
    """
    return _read(_path(stage, "done.json"))


def write_done(stage, status, seconds, command):
    """Mark a stage as complete.

    Args:
        stage: `experiments.cell.Stage`.
        status: 0 or 3.
        seconds: float, time of all attempts.
        command: list of str, the last command.
    """
    _write(_path(stage, "done.json"), {"status": status, "seconds": round(seconds, 3), "command": command})
    (_path(stage, "spent.json")).unlink(missing_ok=True)


def read_spent(stage):
    """Seconds of earlier attempts that did not reach the end; 0.0 where there are none."""
    return (_read(_path(stage, "spent.json")) or {"seconds": 0.0})["seconds"]


def write_spent(stage, seconds):
    """Note the seconds of all attempts so far."""
    _write(_path(stage, "spent.json"), {"seconds": round(seconds, 3)})


def open_log(stage):
    """The stage's log, opened for appending bytes."""
    return open(log_path(stage), "ab")


def log_path(stage):
    """Path of the stage's log."""
    return _path(stage, "log.txt")


def last_lines(stage, count=8):
    """The end of the stage's log, str."""
    try:
        return "\n".join(log_path(stage).read_text(errors="replace").splitlines()[-count:])
    except OSError:
        return ""


def lock(stage):
    """Try to take a stage.

    Args:
        stage: `experiments.cell.Stage`; its directory is made where it is missing.

    Returns:
        File descriptor to be closed when the stage is over and to be handed to its process, or None where
        somebody else is at work on it.
    """
    path = _path(stage, "lock")
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o666)
    if fcntl is not None:
        try:
            # flock, not lockf: the lock belongs to the open file and is thus inherited by the child.
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
    return descriptor


def _path(stage, name):
    return stage.directory / ".engine" / name


def _read(path):
    try:
        return json.loads(path.read_text())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except json.JSONDecodeError as error:
        raise ValueError(f"{path} is not readable JSON ({error}); delete it to do the stage again") from error


def _write(path, content):
    with atomic_file(path, "w") as file:
        json.dump(content, file, indent=2)
