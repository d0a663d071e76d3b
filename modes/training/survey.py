"""What a method finds out about the training images before its network is made: once in a run, then kept."""

import time
import zipfile

import numpy as np

from mmgl_tf.modes.console import ProgressLine
from mmgl_tf.pipelines.batches.sampling import evenly_spread
from mmgl_tf.pipelines.records import MODALITIES
from mmgl_tf.run_directory import RunDirectory, atomic_file


def survey(config, method, options, stores, distribution):
    """The survey of a run: of its file, or made now and written there.

    The file, rather than the images again: every worker and every resumed process then has the same numbers,
    whatever its processor makes of a square root. A run without a checkpoint has nothing to lose; its survey
    is made anew, as settings may have been corrected.

    Args:
        config: `mmgl_tf.flags.config.Config`.
        method: class of `mmgl_tf.pretraining`.
        options: of the method.
        stores: {(split name, modality): ImageStore}.
        distribution: `mmgl_tf.machines.distribution.Distribution`.

    Returns:
        {name: array}; see `PretrainingModel.survey`.
    """
    run = RunDirectory(config.run.workdir)

    def images(modality, most):
        return _Spread(stores["train", MODALITIES.index(modality)], most)

    def find():
        kept = not distribution.chief or run.begun()
        found = _read(run.survey) if kept else None
        if found is None:
            found = method.survey(options, images)
            if found and distribution.chief:
                with atomic_file(run.survey) as file:
                    np.savez(file, **found)
        return found

    return distribution.chief_first(find)


class _Spread:
    """Some readable images of a store, spread evenly; how far one is shows in the terminal."""

    def __init__(self, store, most):
        self._store = store
        self._positions = store.usable[evenly_spread(len(store.usable), most)].tolist()

    def __len__(self):
        return len(self._positions)

    def __iter__(self):
        started = time.perf_counter()
        with ProgressLine("training images surveyed", "images") as progress:
            for done, position in enumerate(self._positions, 1):
                yield self._store[position]
                progress(done, len(self), time.perf_counter() - started)


def _read(path):
    """The arrays of a file, or None where there is none that can be read."""
    try:
        # NumPy leaves a damaged file open that it opened itself.
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile):
        return None
