"""Reader: sysu."""

from pipelines.records import DatasetSplits


def read_sysu(root: str, pretrain_ids: str = "trainval", name: str = "sysu") -> DatasetSplits:
    """Reads the data set."""
    raise NotImplementedError
