"""Numbered versions of a model: MODEL/1, MODEL/2 and so on, of which TF Serving loads the largest.

A server may look at any time, so a version appears by one rename and never half written.
"""

import contextlib
import errno
import os
import re
import shutil
import tempfile
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows; two exports of one model are then the user's to avoid.
    fcntl = None

SAVED = "saved_model.pb"
LOCK = "export.lock"
LARGEST = 2**63 - 1  # the server's version numbers have 64 bits


def versions(model):
    """The version numbers below a model's directory, ascending.

    Only directories named as `new_version` names them: no files, no links, no leading zeros.
    """
    return [number for number, path in _numbered(model) if _is_version(number, path)]


def version_directory(path):
    """The directory of a version.

    Args:
        path: it, or the model's directory: then the largest version with a SavedModel.

    Raises:
        ValueError: there is none.
    """
    path = Path(path)
    if (path / SAVED).is_file():
        return path
    for number in reversed(versions(path)):
        if (path / str(number) / SAVED).is_file():
            return path / str(number)
    raise ValueError(
        f"{path} holds no exported model; expected {SAVED} there or in a numbered directory below it, "
        f"such as {path}/1/{SAVED}. --mode=export makes one."
    )


@contextlib.contextmanager
def only_writer(model):
    """Keep other exports of a model out until the block ends, and remove what a killed one left.

    Args:
        model: directory of the versions; made if missing.

    Raises:
        ValueError: another process is exporting this model.
    """
    model = Path(model)
    model.mkdir(parents=True, exist_ok=True)
    lock = os.open(model / LOCK, os.O_CREAT | os.O_RDWR, 0o666)
    try:
        if _locked(lock, model):
            for path in model.parent.glob(".writing-*"):
                if re.fullmatch(re.escape(_prefix(model)) + "[a-z0-9_]{8}", path.name):  # as tempfile names
                    shutil.rmtree(path, ignore_errors=True)
        yield
    finally:
        os.close(lock)  # and with it the lock; the file stays, as removing it would let two in


@contextlib.contextmanager
def new_version(model, keep):
    """Write a version elsewhere and move it to its place when the block ends without an error.

    Args:
        model: directory of the versions; made if missing.
        keep: newest versions that stay; older ones are removed once the new one is in its place.

    Yields:
        (number, directory to fill). It lies beside the model's, on the same file system, and bears the
        number.

    Raises:
        ValueError: another process wrote that version meanwhile, or the numbers are used up.
    """
    model = Path(model)
    model.mkdir(parents=True, exist_ok=True)
    # Above every number: what is no version of ours may still stand in the way, or be served.
    number = max((number for number, _ in _numbered(model)), default=0) + 1
    if number > LARGEST:
        raise ValueError(f"{model} holds {LARGEST}, the largest version there can be; move it elsewhere")
    elsewhere = Path(tempfile.mkdtemp(dir=model.parent, prefix=_prefix(model)))
    written = elsewhere / str(number)
    try:
        written.mkdir()
        yield number, written
        _to_disk(written)
        try:
            os.rename(written, model / str(number))
        except OSError as error:
            raise ValueError(
                f"version {number} of {model} appeared while it was being written ({error.strerror}); "
                "export once more, one process at a time"
            ) from error
        _directory_to_disk(model)
    finally:
        shutil.rmtree(elsewhere, ignore_errors=True)
    for old in versions(model)[:-keep]:
        try:
            shutil.rmtree(model / str(old))
        except OSError as error:  # the new version is served already: nothing failed that was asked for
            print(f"note       the old version {model / str(old)} stays, as it cannot be removed ({error})")


def _numbered(model):
    """(number, path) of everything below a model's directory that a server may read as a version."""
    found = [
        (int(path.name), path) for path in Path(model).glob("[0-9]*") if re.fullmatch("[0-9]+", path.name)
    ]
    return sorted(pair for pair in found if pair[0] <= LARGEST)


def _is_version(number, path):
    return path.name == str(number) and path.is_dir() and not path.is_symlink()


def _prefix(model):
    """Begins the names of directories in which versions of a model are written."""
    return f".writing-{model.name}-"


def _locked(lock, model):
    """Whether the file is locked now; False on a system without locks."""
    if fcntl is None:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in (errno.EAGAIN, errno.EACCES):
            return False
        raise ValueError(
            f"another process is exporting to {model}; wait for it, stop it, or choose another --model_name"
        ) from error
    return True


def _to_disk(directory):
    """All below a directory, so that a power failure after the rename does not leave it empty."""
    for parent, _, names in os.walk(directory, topdown=False):
        for name in names:
            with open(Path(parent, name), "r+b") as file:
                os.fsync(file.fileno())
        _directory_to_disk(parent)


def _directory_to_disk(directory):
    with contextlib.suppress(OSError):  # not every system opens directories
        handle = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
