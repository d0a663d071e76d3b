"""Reader: regdb."""

from pipelines.records import DatasetSplits


def read_regdb(
    root: str, trial: int = 1, pretrain_ids: str = "trainval", name: str = "regdb"
) -> DatasetSplits:
    """Reads the data set."""
    raise NotImplementedError
