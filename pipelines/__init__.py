"""People and cameras on disk -> batches. Knows no network and no loss.

`DATASETS` is the whole plug-in system: a new data set is one reader and one line here.
"""

from collections.abc import Callable

from mmgl_tf.flags.config import Data, World
from mmgl_tf.pipelines.readers.folder import read_folder
from mmgl_tf.pipelines.readers.regdb import read_regdb
from mmgl_tf.pipelines.readers.sysu import read_sysu
from mmgl_tf.pipelines.records import DatasetSplits


def _synthetic(data: Data, world: World) -> DatasetSplits:
    # Imported here because drawing needs OpenCV, which reading does not.
    from mmgl_tf.pipelines.synthetic import read_synthetic

    return read_synthetic(data, world)


DATASETS: dict[str, Callable[[Data, World], DatasetSplits]] = {
    "sysu": lambda data, world: read_sysu(data.data_dir, data.train_ids),
    "regdb": lambda data, world: read_regdb(data.data_dir, data.trial, data.train_ids),
    "folder": lambda data, world: read_folder(data.data_dir, data.train_ids),
    "synthetic": _synthetic,
}
