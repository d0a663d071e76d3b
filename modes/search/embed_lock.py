"""One --mode=embed at a time in a directory."""

import contextlib
import errno
import os
from pathlib import Path

from mmgl_tf.run_directory import claim_directory

try:
    import fcntl
except ImportError:  # Windows; two commands in one directory are then the user's to avoid.
    fcntl = None

LOCK = "run.lock"


@contextlib.contextmanager
def locked_directory(workdir, marker):
    """Make or take the directory of results and keep other processes out while the block runs.

    The lock is the operating system's, so it ends with the process, however that ends; its file stays.

    Args:
        workdir: the directory.
        marker: a file name that shows the directory to be ours.

    Yields:
        It, a `Path`.

    Raises:
        ValueError: the directory holds something else, cannot be made, or another process is at work in it.
    """
    root = Path(workdir)
    # A kill before the marker was whole leaves no more than these.
    remains = [LOCK, *(path.name for path in root.glob(f".{marker}.*.tmp"))]
    if not root.is_dir() or any(path.name not in remains for path in root.iterdir()):
        claim_directory(root, marker)
    lock = os.open(root / LOCK, os.O_CREAT | os.O_RDWR, 0o666)
    try:
        _take(lock, root)
        yield root
    finally:
        os.close(lock)


def _take(lock, root):
    if fcntl is None:
        return
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in (errno.EAGAIN, errno.EACCES):
            return  # A file system without locks; two commands are then the user's to avoid.
        raise ValueError(
            f"another --mode=embed is at work in {root}; wait for it, stop it, or choose another --workdir"
        ) from error
