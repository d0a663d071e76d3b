"""One run is one directory: its layout, its configuration file and atomic writing into it."""

import contextlib
import errno
import json
import os
import tempfile
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows; two runs in one directory are then the user's to avoid.
    fcntl = None

from mmgl_tf.flags.config import differences, recorded, settled_at_start


@contextlib.contextmanager
def atomic_file(path, mode="wb"):
    """Open a temporary file beside `path` and move it there when the block ends without an error.

    A reader, a kill or a full disk therefore meets the old file or the new one, never half of one.

    Args:
        path: final path.
        mode: "wb" or "w".

    Yields:
        The open file.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    try:
        with os.fdopen(handle, mode) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def _umask():
    """The process's file mode mask; it can only be read by setting it."""
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def claim_directory(root, marker):
    """Make a directory for results, or take the one that holds earlier ones.

    Args:
        root: the directory.
        marker: a file name that shows the directory to be ours.

    Returns:
        It, a `Path`.

    Raises:
        ValueError: it holds something else, or cannot be made.
    """
    root = Path(root)
    if root.is_dir() and any(root.iterdir()) and not (root / marker).exists():
        raise ValueError(
            f"--workdir={root} holds files but no {marker}, so it was not made by this mode; "
            "choose a new directory"
        )
    _make(root)
    return root


def _make(root):
    """Make a directory that --workdir names; one that cannot be made is a ValueError."""
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(
            f"--workdir={root} cannot be made ({error.strerror}); choose a place you may write to"
        ) from error


class RunDirectory:
    """Paths of a run and the check that a resumed run is the same run.

    Layout: config.json, metrics.jsonl, summary.json, checkpoints/, tensorboard/, pictures/, weights
    (encoder_last.weights.h5, encoder_best.weights.h5; a fine-tuning's embedder_* too, and start.json, what it
    started from), eval/; survey.npz where the method looked at the training images first.

    Args:
        root: the run directory; made if missing.

    Raises:
        ValueError: root exists and holds something that is not a run.
    """

    def __init__(self, root):
        self.root = Path(root)
        if self.root.exists() and not self.root.is_dir():
            raise ValueError(f"--workdir={root} is a file; expected a directory (a new one is made)")
        self.config_path = self.root / "config.json"
        # The remains of a kill while the first file was written are ours.
        strangers = [path for path in self.root.glob("*") if path.name != "run.lock" and path.name[0] != "."]
        if strangers and not self.config_path.exists():
            raise ValueError(
                f"--workdir={root} holds files but no config.json, so it is not a run of this program; "
                "choose a new directory or an earlier run's"
            )
        self.metrics_path = self.root / "metrics.jsonl"
        self.checkpoints = self.root / "checkpoints"
        self.tensorboard = self.root / "tensorboard"
        self.pictures = self.root / "pictures"
        self.survey = self.root / "survey.npz"

    def weights(self, name, which):
        """Where weights are saved.

        Args:
            name: "encoder", or "embedder" (of a fine-tuning).
            which: "best" or "last".
        """
        return self.root / f"{name}_{which}.weights.h5"

    def claim(self, config):
        """Write the resolved configuration, or compare it with the one already there.

        The file of a run that has a checkpoint is left as it is: other settings may yet turn out not to fit
        its weights. `record` writes them once they do.

        Args:
            config: `mmgl_tf.flags.config.Config`.

        Raises:
            ValueError: the directory holds a run with other decisive settings and --force is not given, or
                with others of those that --force cannot change; or another process is at work in it.
        """
        _make(self.root)
        self._lock()
        begun = self.begun()
        if self.config_path.exists():
            try:
                old = json.loads(self.config_path.read_text())
            except json.JSONDecodeError as error:
                raise ValueError(
                    f"{self.config_path} is not readable JSON ({error}); mend it or choose another --workdir"
                ) from error
            changed = differences(old, recorded(config))
            for name, was, now in changed:
                if begun and name in settled_at_start():
                    raise ValueError(
                        f"{self.root} holds a run of --{name}={was}; --{name}={now} cannot go on with what "
                        "it has learned, not even with --force. Choose another --workdir"
                    )
            if changed and begun and not config.run.force:
                listing = "\n".join(f"  --{name}: was {was!r}, now {now!r}" for name, was, now in changed)
                raise ValueError(
                    f"{self.root} holds a run with other settings:\n{listing}\n"
                    "Give the old settings to go on with it, another --workdir to start anew, "
                    "or --force to go on with the new settings."
                )
        if not begun:
            self.record(config)

    def begun(self):
        """Whether there is a checkpoint. Before its first a run has nothing to lose: settings may change."""
        return any(self.checkpoints.glob("step_*.npz"))

    def record(self, config):
        """Write the settings of a claimed run, `mmgl_tf.flags.config.Config`, to its config.json."""
        with atomic_file(self.config_path, "w") as file:
            json.dump(recorded(config), file, indent=2)

    def _lock(self):
        """Keep other processes out until this one ends, however it ends."""
        if fcntl is None:
            return
        # A bare descriptor, never closed: the lock must live as long as the process does.
        lock = os.open(self.root / "run.lock", os.O_CREAT | os.O_RDWR, 0o666)
        try:
            fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.EACCES):
                return  # A file system without locks; two runs in one directory are then the user's to avoid.
            raise ValueError(
                f"another process is at work in {self.root}; wait for it, stop it, "
                "or choose another --workdir"
            ) from error

    def read_metrics(self):
        """Rows of metrics.jsonl, one dict per finished epoch; a half-written last line is left out."""
        if not self.metrics_path.exists():
            return []
        rows = []
        for line in self.metrics_path.read_text().splitlines():
            with contextlib.suppress(json.JSONDecodeError):
                rows.append(json.loads(line))
        return rows

    def write_metrics(self, rows):
        """Replace metrics.jsonl."""
        with atomic_file(self.metrics_path, "w") as file:
            file.writelines(json.dumps(row) + "\n" for row in rows)
