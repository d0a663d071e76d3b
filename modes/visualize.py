"""--mode=visualize: pictures of one run, or of several side by side."""

from pathlib import Path

from mmgl_tf.training.run_directory import claim_directory
from modes.looks import TestImages, look_before, look_of_run
from modes.model import prepare
from modes.reading import open_stores, read_splits, require_labels
from modes.retrieval_pictures import RetrievalPictures


def visualize(configs):
    """Write the pictures.

    Args:
        configs: list of `flags.config.Config`, one for each run that --init names.

    Returns:
        0, the exit status.
    """
    first = configs[0]
    same = ("dataset", "data_dir", "trial", "image_height", "image_width")
    for config in configs[1:]:
        other = [name for name in same if getattr(config.data, name) != getattr(first.data, name)]
        if other or config.world != first.world:
            raise ValueError(
                f"{config.finetuning.init} and {first.finetuning.init} look at different images "
                f"({', '.join(other) or 'another drawn world'}); "
                "give both the same, e.g. --dataset and --data_dir"
            )
    prepare(first)
    root = claim_directory(first.run.workdir, "pictures")
    splits = read_splits(first)
    require_labels(splits)
    images = TestImages.of(splits, open_stores(first.data, splits, ("query", "gallery")))
    names = run_names([config.finetuning.init for config in configs])
    if first.evaluation.run_names:
        names = [name.strip() for name in first.evaluation.run_names.split(",")]
        if len(set(names)) != len(configs):
            raise ValueError(
                f"--run_names={first.evaluation.run_names} gives {len(set(names))} different names to "
                f"{len(configs)} runs; give one each, with commas between"
            )
    looks = [look_of_run(config, name, images) for config, name in zip(configs, names, strict=True)]
    before = [look_before(config, images) for config in configs]
    runs = {name: config.finetuning.init for config, name in zip(configs, names, strict=True)}
    paths = RetrievalPictures(first, images, splits.query.protocol, root).write(looks, before, runs)
    for path in paths:
        print(f"picture    {path}")
    print(f"projector  tensorboard --logdir {root / 'tensorboard'}")
    return 0


def run_names(directories):
    """Names that tell runs apart in a legend: the parts of their paths in which they differ."""
    parts = [Path(directory).parts for directory in directories]
    if len(parts) == 1:
        return [Path(directories[0]).name]
    shared = set.intersection(*map(set, parts))
    names = ["/".join(part for part in path if part not in shared) or path[-1] for path in parts]
    if len(set(names)) == len(names):
        return names
    return [f"{name} ({number})" for number, name in enumerate(names, 1)]
