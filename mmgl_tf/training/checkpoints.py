"""Resumable checkpoints: every number that decides the rest of a run, in one file, written atomically.

A checkpoint is a plain .npz (no pickles): model weights, optimiser state, the running means of the current
epoch, and a JSON note (step, best score). With input and noise being functions of (seed, epoch, index),
that is all a run needs to arrive at the same weights as one that was never stopped.
"""

import hashlib
import json
import re
import zipfile
from pathlib import Path

import numpy as np

from mmgl_tf.run_directory import atomic_file

NOTE = "__note__"


class Checkpoints:
    """The checkpoints of one run; the newest `keep` stay.

    Args:
        directory: where they are; made on the first save.
        keep: how many to keep. Two, so that one damaged file does not cost the run.
        report: function that is told, in one line, of a checkpoint that cannot be read.
    """

    def __init__(self, directory, keep=2, report=print):
        self.directory = Path(directory)
        self.keep = keep
        self.report = report

    def save(self, step, arrays, note):
        """Write the checkpoint of a step.

        Args:
            step: number of finished steps.
            arrays: {name: NumPy array}.
            note: JSON-able dict; `step` is added.

        Raises:
            OSError: the file could not be written; names the newest checkpoint that is still good.
        """
        path = self.directory / f"step_{step:08d}.npz"
        try:
            with atomic_file(path) as file:
                np.savez(file, **{NOTE: np.array(json.dumps(note | {"step": step}))}, **arrays)
        except OSError as error:
            good = self.paths()
            kept = f"the last good one is {good[-1]}" if good else "there is no earlier one"
            raise OSError(
                f"could not save the checkpoint {path}: {error.strerror or error}; {kept}. "
                "Make room, then give the same command again to go on."
            ) from error
        for old in self.paths()[: -self.keep]:
            old.unlink()

    def paths(self):
        """Checkpoint files, oldest first."""
        return sorted(
            path for path in self.directory.glob("step_*.npz") if re.fullmatch(r"step_\d{8}\.npz", path.name)
        )

    def latest(self):
        """The newest readable checkpoint.

        Returns:
            (arrays, note), or None when there is none. A damaged file is reported and the one before tried.
        """
        for path in reversed(self.paths()):
            try:
                # NumPy leaves a damaged file open that it opened itself.
                with open(path, "rb") as file, np.load(file, allow_pickle=False) as archive:
                    arrays = {name: archive[name] for name in archive.files}
                return arrays, json.loads(str(arrays.pop(NOTE)))
            except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
                self.report(f"checkpoint {path} cannot be read ({error}); trying the one before")
                # Set aside, or its higher step number would make later, good ones look older.
                path.rename(path.with_suffix(".damaged"))
        return None


def digest(model):
    """A short text that changes with any number of `collect`'s."""
    found = hashlib.sha256()
    for name, array in sorted(collect(model).items()):
        found.update(name.encode() + array.tobytes())
    return found.hexdigest()[:16]


def collect(model):
    """All state of a compiled, built model that decides its future.

    Returns:
        {unique name: NumPy array}: weights, optimiser variables, running means.
    """
    return {name: np.asarray(variable) for name, variable in _state(model).items()}


def restore(model, arrays):
    """Put `arrays`, made by `collect`, back into the model; nothing may be missing or left over.

    Raises:
        ValueError: names or shapes do not match; nothing was changed.
    """
    state = _state(model)
    missing, unexpected = sorted(set(state) - set(arrays)), sorted(set(arrays) - set(state))
    wrong = [
        f"{name} {arrays[name].shape} -> {tuple(variable.shape)}"
        for name, variable in state.items()
        if name in arrays and arrays[name].shape != tuple(variable.shape)
    ]
    if missing or unexpected or wrong:
        raise ValueError(
            "the checkpoint does not fit this model: "
            f"missing {missing[:5]} ({len(missing)}), unexpected {unexpected[:5]} ({len(unexpected)}), "
            f"other shapes {wrong[:5]} ({len(wrong)}). It was made with other settings or another version; "
            "choose another --workdir."
        )
    for name, variable in state.items():
        variable.assign(arrays[name])


def _state(model):
    groups = {
        "weight": model.weights,
        "optimizer": model.optimizer.variables,
        "metric": [variable for metric in model.metrics for variable in metric.variables],
    }
    state = {}
    for group, variables in groups.items():
        for variable in variables:
            name = f"{group}/{variable.path}"
            if name in state:
                raise ValueError(f"two variables are called {name}; a layer lacks a name of its own")
            state[name] = variable
    return state
