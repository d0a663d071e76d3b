"""Reading a data set for a mode; drawing it first where it is the built-in world."""

import hashlib
import os

from modes.console import ProgressLine
from pipelines import DATASETS


def read_splits(config):
    """The data set of --dataset, as `pipelines.records.DatasetSplits`.

    Args:
        config: `flags.config.Config`.
    """
    if config.data.dataset == "synthetic":
        from pipelines.synthetic import ensure_world

        with ProgressLine("people drawn", "images") as progress:
            ensure_world(config.world, config.data.cache_dir, progress)
    return DATASETS[config.data.dataset](config.data, config.world)


def fingerprint(splits):
    """A short text that changes with the images a run trains and selects on: their names and sizes.

    Moving a data set elsewhere does not change it.

    Args:
        splits: `pipelines.records.DatasetSplits`.
    """
    digest = hashlib.sha256()
    for split in (splits.train, splits.validation):
        for sample in split.samples:
            size = os.path.getsize(sample.path) if os.path.exists(sample.path) else -1
            digest.update(f"{split.name} {os.path.relpath(sample.path, splits.root)} {size}\n".encode())
    return digest.hexdigest()[:16]
