"""The built-in world: drawn pedestrians, seen by visible and infrared cameras.

Made of files in the published data sets' own layouts, so that everything that reads SYSU-MM01 or RegDB
reads it too, and of nothing but a seed, so that nobody has to ask for data before the first run.
"""

from pathlib import Path

from mmgl_tf.pipelines.readers.regdb import read_regdb
from mmgl_tf.pipelines.readers.sysu import read_sysu

from .contact_sheet import write_contact_sheet
from .draw import draw_image
from .spec import DRAWING_VERSION, WorldSpec
from .write import WorldError, write_world

__all__ = [
    "DRAWING_VERSION",
    "WorldError",
    "WorldSpec",
    "draw_image",
    "ensure_world",
    "read_synthetic",
    "synthesize",
    "write_contact_sheet",
    "write_world",
]


def ensure_world(world, cache_dir, progress=None):
    """Finds the world of these settings in the cache, or draws it.

    Args:
        world: a `mmgl_tf.flags.config.World`.
        cache_dir: directory that drawn worlds are kept below.
        progress: as in `write_world`.

    Returns:
        The world's directory, a `Path`.

    Raises:
        ValueError: the cache cannot be made.
    """
    spec = WorldSpec.from_config(world)
    worlds = Path(cache_dir) / "worlds"
    try:
        worlds.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(
            f"--cache_dir={cache_dir} cannot be made ({error.strerror}); choose a place you may write to"
        ) from error
    return write_world(spec, worlds / spec.name, progress=progress)


def synthesize(world, directory, progress=None):
    """Writes a world and its contact sheet: what `--mode=synthesize` does.

    Args:
        world: a `mmgl_tf.flags.config.World`.
        directory: where the world goes; the sheet is its contact_sheet.png.
        progress: as in `write_world`.

    Returns:
        (directory, sheet): two `Path`s.
    """
    spec = WorldSpec.from_config(world)
    directory = write_world(spec, directory, progress=progress)
    return directory, write_contact_sheet(spec, directory / "contact_sheet.png")


def read_synthetic(data, world, progress=None):
    """Reads the built-in world, and draws it first where the cache has none.

    Args:
        data: a `mmgl_tf.flags.config.Data`; cache_dir, trial and train_ids are used.
        world: a `mmgl_tf.flags.config.World`.
        progress: as in `write_world`.

    Returns:
        A `mmgl_tf.pipelines.records.DatasetSplits` as the reader of the world's layout makes it, named
        "synthetic", without the published data set's counts and licence.
    """
    directory = ensure_world(world, data.cache_dir, progress)
    if world.world_layout == "regdb":
        return read_regdb(str(directory), data.trial, data.train_ids, name="synthetic")
    return read_sysu(str(directory), data.train_ids, name="synthetic")
