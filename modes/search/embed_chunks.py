"""Where --mode=embed has got to: a plan of what to embed and chunks of what is done, on disk."""

import io
import json
import shutil
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np

from mmgl_tf.modes.search.embed_batches import Embeddings
from mmgl_tf.modes.search.embed_files import ImageFile, named
from mmgl_tf.modes.search.embed_source import differing
from mmgl_tf.modes.search.embedded_files import ABOUT
from mmgl_tf.run_directory import atomic_file

PLAN = "plan.json"
CHUNK = 512  # images that a kill loses at most
# What NumPy raises over a file that was cut off or written over.
_DAMAGE = (
    ValueError,
    KeyError,
    TypeError,
    EOFError,
    RuntimeError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
)


class Chunks:
    """The parts of an unfinished --mode=embed; one process at a time may have them.

    Layout: plan.json (the model, and every file with size and time) and unfinished/chunk_000000.npz, ...; the
    latter go when the results are written.

    Args:
        root: the directory.
        source: `facts` of the model.
        files: list of `ImageFile`, all that are to be embedded.
        force: begin anew where what is done does not belong to these.

    Attributes:
        done: number of files that are embedded or skipped already, the first of `files`.
        finished: whether the results are written.
        notes: sentences to print.

    Raises:
        ValueError: what is done is another model's, or of files that were changed since.
    """

    def __init__(self, root, source, files, force=False):
        self.root = Path(root)
        self.directory = self.root / "unfinished"
        self.notes = []
        for leftover in [*self.root.glob(".*.tmp"), *self.directory.glob(".*.tmp")]:
            leftover.unlink()  # of a kill in the middle of a file
        self.finished = (self.root / ABOUT).is_file()
        self.done = 0
        self._counts = [] if self.finished else self._counts_on_disk()
        earlier = self._plan()
        if earlier is not None:
            problems = self._problems(earlier, source, files)
            if problems and not force:
                raise ValueError(
                    f"{self.root} holds embeddings of something else:\n  " + "\n  ".join(problems) + "\n"
                    "Choose another --workdir, or --force to embed all anew here."
                )
            if problems:
                self.notes.append("--force: begins anew, since " + "; ".join(problems))
                (self.root / ABOUT).unlink(missing_ok=True)
                shutil.rmtree(self.directory, ignore_errors=True)
                self.finished, self._counts = False, []
        if self.finished:
            self.done = len(files)
            shutil.rmtree(self.directory, ignore_errors=True)
            return
        self.done = sum(self._counts)
        self._remove_from(len(self._counts))
        with atomic_file(self.root / PLAN, "w") as file:
            json.dump({"source": source, "files": files}, file)

    def write(self, batches):
        """Write the next chunk.

        Args:
            batches: list of `Embeddings` of consecutive files, not empty; their positions follow `done`.
        """
        positions = np.concatenate([batch.positions for batch in batches])
        skipped = [pair for batch in batches for pair in batch.skipped]
        with atomic_file(self._path(len(self._counts))) as file:
            np.savez(
                file,
                positions=positions,
                embeddings=np.concatenate([batch.embeddings for batch in batches]),
                skipped=np.array([position for position, _ in skipped], np.int64),
                reasons=np.array([reason for _, reason in skipped], str),
            )
        self._counts.append(len(positions) + len(skipped))
        self.done += self._counts[-1]

    def read(self):
        """`Embeddings` of each chunk."""
        for number in range(len(self._counts)):
            yield self._read(number)

    def finish(self):
        """Remove what the results have made needless."""
        shutil.rmtree(self.directory, ignore_errors=True)

    def _path(self, number):
        return self.directory / f"chunk_{number:06d}.npz"

    def _read(self, number):
        # From memory: NumPy leaves a file open where it is no archive, and errors of the disk are told apart.
        with np.load(io.BytesIO(self._path(number).read_bytes()), allow_pickle=False) as arrays:
            skipped = zip(arrays["skipped"].tolist(), arrays["reasons"].tolist(), strict=True)
            return Embeddings(arrays["positions"], arrays["embeddings"], list(skipped))

    def _counts_on_disk(self):
        """Files that each chunk covers, up to the first one that is not whole."""
        counts = []
        while (path := self._path(len(counts))).is_file():
            try:
                chunk = self._read(len(counts))
                covered = sorted([*chunk.positions.tolist(), *(position for position, _ in chunk.skipped)])
                if covered != list(range(sum(counts), sum(counts) + len(covered))) or not covered:
                    raise ValueError("of other images")
                if len(chunk.embeddings) != len(chunk.positions):
                    raise ValueError("an embedding is missing")
            except _DAMAGE as error:
                self.notes.append(
                    f"{path} is damaged ({error}): from image {sum(counts)} on, all are embedded anew"
                )
                break
            counts.append(len(covered))
        return counts

    def _remove_from(self, number):
        """Chunks behind a damaged one; they would be taken for the successors of what replaces it."""
        for path in self.directory.glob("chunk_*.npz"):
            if path.name >= self._path(number).name:
                path.unlink()

    def _plan(self):
        path = self.root / PLAN
        if not path.is_file():
            return None
        try:
            plan = json.loads(path.read_text())
            return plan | {"files": [ImageFile(*entry) for entry in plan["files"]]}
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{path} is not readable ({error}); choose another --workdir") from error

    def _problems(self, earlier, source, files):
        """Why what is done does not belong to this model and these files; notes on what is not done yet."""
        done = len(earlier["files"]) if self.finished else sum(self._counts)
        if not (done or self.finished):
            return []
        problems = differing(earlier["source"], source)
        if self.finished:
            return problems + _changes(earlier["files"], files)
        problems += _changes(earlier["files"][:done], files[:done])
        later = _changes(earlier["files"][done:], files[done:])
        if later and not problems:
            self.notes.append(f"of the images not embedded yet, {'; '.join(later)}: embedded as they are now")
        return problems


def _changes(earlier, now):
    """How two lists of files differ, in sentences; empty where they do not."""
    if earlier == now:
        return []
    old, new = ({file.path: file for file in files} for files in (earlier, now))
    groups = {
        "removed": [path for path in old if path not in new],
        "added": [path for path in new if path not in old],
        "changed (size or time)": [path for path in new if path in old and old[path][1:3] != new[path][1:3]],
        "of another modality": [path for path in new if path in old and old[path][3] != new[path][3]],
    }
    told = [
        f"{len(paths)} {'file was' if len(paths) == 1 else 'files were'} {what}: {named(paths)}"
        for what, paths in groups.items()
        if paths
    ]
    return told or ["the files are listed in another order"]
