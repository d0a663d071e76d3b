"""Numbered versions of a model: MODEL/1, MODEL/2 and so on, of which TF Serving loads the largest.

A server may look at any time, so a version appears by one rename and never half written.
"""

import contextlib
import os
import shutil
import tempfile
from pathlib import Path

SAVED = "saved_model.pb"


def versions(model):
    """The version numbers below a model's directory, ascending."""
    return sorted(int(path.name) for path in Path(model).glob("[0-9]*") if path.name.isdecimal())


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
def new_version(model, keep):
    """Write a version elsewhere and move it to its place when the block ends without an error.

    Args:
        model: directory of the versions; made if missing.
        keep: newest versions that stay; older ones are removed once the new one is in its place.

    Yields:
        (number, directory to fill). It lies beside the model's, on the same file system, and bears the
        number.

    Raises:
        ValueError: another process wrote that version meanwhile.
    """
    model = Path(model)
    model.mkdir(parents=True, exist_ok=True)
    number = max(versions(model), default=0) + 1
    elsewhere = Path(tempfile.mkdtemp(dir=model.parent, prefix=f".writing-{model.name}-"))
    written = elsewhere / str(number)
    try:
        written.mkdir()
        yield number, written
        try:
            os.rename(written, model / str(number))
        except OSError as error:
            raise ValueError(
                f"version {number} of {model} appeared while it was being written ({error.strerror}); "
                "export once more, one process at a time"
            ) from error
    finally:
        shutil.rmtree(elsewhere, ignore_errors=True)
    for old in versions(model)[:-keep]:
        shutil.rmtree(model / str(old))
