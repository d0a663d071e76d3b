"""Reader: folder."""

from pipelines.records import DatasetSplits


def read_folder(root: str, pretrain_ids: str = "trainval", name: str = "folder") -> DatasetSplits:
    """Reads the data set."""
    raise NotImplementedError
