"""--mode=visualize: pictures of one run, or of several side by side."""

from pathlib import Path

from mmgl_tf.modes.evaluation.evaluation_rules import evaluation_rules
from mmgl_tf.modes.evaluation.network_embeddings import (
    EvaluationImages,
    embeddings_before_training,
    embeddings_of_run,
)
from mmgl_tf.modes.evaluation.retrieval_pictures import RetrievalPictures
from mmgl_tf.modes.model import prepare
from mmgl_tf.modes.reading import open_stores, read_splits, require_labels
from mmgl_tf.run_directory import claim_directory


def visualize(configs):
    """Write the pictures.

    Args:
        configs: list of `mmgl_tf.flags.config.Config`, one for each run that --init names.

    Returns:
        0, the exit status.
    """
    first = configs[0]
    for config in configs[1:]:
        _require_the_same_images(first, config)
    names = _names(configs)
    root = claim_directory(first.run.workdir, "pictures")
    splits = read_splits(first)
    require_labels(splits)
    rules = evaluation_rules(first, splits)
    images = EvaluationImages.of(splits, open_stores(first.data, splits, ("query", "gallery")))
    networks, before = [], []
    for config, name in zip(configs, names, strict=True):
        prepare(config)
        networks.append(embeddings_of_run(config, name, images))
        before.append(embeddings_before_training(config, images))
    runs = {name: config.finetuning.init for config, name in zip(configs, names, strict=True)}
    paths = RetrievalPictures(first, images, *rules, root).write(networks, before, runs)
    for path in paths:
        print(f"picture    {path}")
    print(f"projector  tensorboard --logdir {root / 'tensorboard'}")
    return 0


def _require_the_same_images(first, other):
    """Refuse runs whose test images differ; settings that do not matter for their data set may."""
    names = ["dataset", "image_height", "image_width", "resize"]
    names += [] if first.data.dataset == "synthetic" else ["data_dir"]
    drawn_or_regdb = first.data.dataset == "regdb" or first.world.world_layout == "regdb"
    names += ["trial"] if drawn_or_regdb else []
    different = [name for name in names if getattr(other.data, name) != getattr(first.data, name)]
    if first.data.dataset == other.data.dataset == "synthetic" and other.world != first.world:
        different.append("drawn world")
    if different:
        name = different[0]
        typed = f"--{name}={getattr(first.data, name)}" if name in names else "--world_seed"
        raise ValueError(
            f"{other.finetuning.init} and {first.finetuning.init} look at different images "
            f"({', '.join(different)}); what is typed holds for both, e.g. {typed}"
        )


def _names(configs):
    """Of the runs, for legends: those of --run_names, else what tells their directories apart."""
    typed = configs[0].evaluation.run_names
    if not typed:
        return run_names([config.finetuning.init for config in configs])
    names = [name.strip() for name in typed.split(",")]
    if len(names) != len(configs) or len(set(names)) != len(names):
        raise ValueError(
            f"--run_names={typed} gives {len(set(names))} different names to "
            f"{len(configs)} runs; give one each, with commas between"
        )
    return names


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
