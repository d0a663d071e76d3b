"""Reading a data set for a mode; drawing it first where it is the built-in world."""

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
