"""What a run left behind: its settings, its weights, and where fine-tuning or evaluation finds them."""

import json
from pathlib import Path

from mmgl_tf.backbones import Encoder
from mmgl_tf.backbones.pooled_encoder import PooledEncoder
from mmgl_tf.figures import FILE, OF_EVERY_RUN, from_json
from mmgl_tf.finetuning.figures import SEARCH
from mmgl_tf.finetuning.transfer import transfer
from mmgl_tf.flags.config import defaults, from_flat, migrated, options
from mmgl_tf.modes.model import METHODS, build_embedder
from mmgl_tf.pretraining.monitor.probe import FIGURES as PROBED
from mmgl_tf.pretraining.monitor.probe import OF_BOTH
from mmgl_tf.run_directory import RunDirectory
from mmgl_tf.training.plan import TrainingPlan


def run_settings(directory):
    """The flat configuration of a run.

    Raises:
        ValueError: the directory holds no run.
    """
    path = Path(directory) / "config.json"
    try:
        return migrated(json.loads(path.read_text()))
    except (OSError, json.JSONDecodeError) as error:
        raise ValueError(
            f"--init={directory} holds no run: {path} is missing or unreadable ({error}). "
            "Give the --workdir of an earlier run."
        ) from error


def run_summary(directory):
    """What a run wrote at its end; {} for one that has not ended."""
    path = Path(directory) / "summary.json"
    return json.loads(path.read_text()) if path.is_file() else {}


def run_status(directory):
    """How a run ended: "complete", "fail", "collapsed"; "unfinished" for one that has not."""
    summary = run_summary(directory)
    return summary.get("status", "complete") if summary else "unfinished"


def run_figures(directory):
    """What the names in a run's metrics.jsonl mean, tuple of `mmgl_tf.figures.Figure`.

    Runs of earlier versions did not write it down; theirs are told by their method.
    """
    path = Path(directory) / FILE
    if path.is_file():
        return from_json(path.read_text())
    config = from_flat({name: value for name, value in run_settings(directory).items() if name in defaults()})
    if config.run.method not in METHODS:
        return OF_EVERY_RUN
    own = METHODS[config.run.method].figures(options(config), TrainingPlan())
    return (*OF_EVERY_RUN, *((*PROBED, *OF_BOTH) if config.run.mode == "pretrain" else SEARCH), *own)


def is_finetuned(directory):
    """Whether a run is a fine-tuning, or a fine-tuned network that was imported."""
    mode = run_settings(directory).get("mode")
    return mode == "finetune" or (
        mode == "import" and RunDirectory(directory).weights("embedder", "last").is_file()
    )


def weights_file(directory, name, which):
    """The weights file of a run, its last one where there is no best.

    Args:
        directory: of the run.
        name: "encoder" or "embedder".
        which: "best" or "last".

    Returns:
        (path, "best" or "last").

    Raises:
        ValueError: the run has saved none yet.
    """
    for kind in dict.fromkeys((which, "last")):
        path = Path(directory) / f"{name}_{kind}.weights.h5"
        if path.is_file():
            return path, kind
    raise ValueError(
        f"--init={directory} has no {name}_{which}.weights.h5; its first epoch is not finished, or it is "
        "a run of another mode"
    )


def require_start(config):
    """Refuse an --init that cannot be, before a run directory is made and any image read.

    Args:
        config: `mmgl_tf.flags.config.Config` of a fine-tuning.

    Raises:
        ValueError: there is neither such a run nor such a file, it has no weights yet, or its network is
            another one.
    """
    init, network = config.finetuning.init, config.network
    if init == "random":
        return
    path = _existing(init)
    if path.is_dir():
        start = run_settings(path)
        weights_file(path, "encoder", config.finetuning.init_weights)
    elif (path.parent / "config.json").is_file():
        start = run_settings(path.parent)
    else:  # a weights file by itself; its tensors tell
        return
    backbone, stream = start.get("backbone", network.backbone), start.get("stream", network.stream)
    if backbone != network.backbone:
        preset = start.get("preset", config.run.preset)
        as_there = f", or --preset={preset} as there" if preset != config.run.preset else ""
        raise ValueError(
            f"--init={init} was trained with --backbone={backbone}, and this run has {network.backbone}; "
            f"give --backbone={backbone}{as_there}"
        )
    if (stream, network.stream) == ("two", "one") and not config.finetuning.stem_from:
        raise ValueError(
            f"--init={init} has a stem for each modality and --method={config.run.method} has one for both; "
            "choose what it starts from with --stem_from=visible, infrared or mean, or pre-train with "
            "--stream=one"
        )


def _existing(init):
    """The path that --init names.

    Raises:
        ValueError: there is nothing.
    """
    if not Path(init).exists():
        raise ValueError(
            f"--init={init} is neither a run directory nor a file; give random, the --workdir of a "
            "pre-training, or a .weights.h5"
        )
    return Path(init)


def start_encoders(embedder, config):
    """Give an embedder's encoders the weights that --init names; leave them as they are for --init=random.

    Args:
        embedder: built `mmgl_tf.backbones.pooled_encoder.PooledEncoder`.
        config: `mmgl_tf.flags.config.Config`.

    Returns:
        Sentences to print.

    Raises:
        ValueError: the weights are not there, do not fill an encoder, have two stems where nobody said which
            one to take, or have seen this run's test people.
    """
    options = config.finetuning
    if options.init == "random":
        return ["random weights"]
    path, notes = _existing(options.init), []
    if path.is_dir():
        notes = _judge_people(run_settings(path), config)
        path, _ = weights_file(path, "encoder", options.init_weights)
    elif (path.parent / "config.json").is_file():  # weights where their run left them
        notes = _judge_people(run_settings(path.parent), config)
    starts, lines = embedder.starts(), [str(path)]
    for encoder, stem in starts:
        told = transfer(encoder, path, stem or options.stem_from).lines()
        lines += [f"{encoder.name}: {line}" for line in told] if len(starts) > 1 else told
    return lines + notes


def _judge_people(start, config):
    """Refuse a start that has seen this run's test people; sentences on one that has seen its validation's.

    Args:
        start: flat configuration of the start.
        config: `mmgl_tf.flags.config.Config` of this run.
    """
    data, world = config.data, config.world
    regdb = data.dataset == "regdb" or (data.dataset == "synthetic" and world.world_layout == "regdb")
    same = start.get("dataset") == data.dataset and (
        data.dataset != "synthetic"
        or (start.get("world_seed"), start.get("world_layout")) == (world.world_seed, world.world_layout)
    )
    if same and regdb and start.get("trial") != data.trial:
        raise ValueError(
            f"--init={config.finetuning.init} was trained on trial {start.get('trial')} of {data.dataset}, "
            f"whose people are partly the test people of --trial={data.trial}; start from another data set, "
            "from the same trial, or from random"
        )
    if same and (start.get("train_ids"), data.train_ids) == ("trainval", "train"):
        return ["note: the start was trained on the validation people too, so they flatter the best weights"]
    return []


def load_embedder(config, which):
    """The embedder of the run that --init names.

    A pre-training has no neck, nor has an imported encoder; its embedder is the pooled feature map.

    Args:
        config: `mmgl_tf.flags.config.Config`, made from that run.
        which: "last" or "best".

    Returns:
        (embedder, finished steps of "last" or epoch of "best"), or None where the run chose no best.

    Raises:
        ValueError: it has no weights yet, or they are another network's.
    """
    directory = Path(config.finetuning.init)
    settings = run_settings(directory)
    if settings.get("mode") not in ("pretrain", "finetune", "import"):
        raise ValueError(
            f"--init={directory} is a run of --mode={settings.get('mode')}; "
            "expected a pre-training, a fine-tuning or an imported checkpoint"
        )
    finetuned = is_finetuned(directory)
    name = "embedder" if finetuned else "encoder"
    path = RunDirectory(directory).weights(name, which)
    if not path.is_file():
        if which == "best":
            return None
        path, _ = weights_file(directory, name, which)
    if finetuned:
        embedder = build_embedder(config)
        embedder.load_weights(path)
    else:
        encoder = Encoder(config.network.backbone, config.network.stream, seed=config.run.seed)
        embedder = PooledEncoder(encoder)
        embedder.build_from(config.data.image_height, config.data.image_width)
        encoder.load_weights(path)
    rows = RunDirectory(directory).read_metrics()
    place = rows[-1]["step"] if rows else None
    if which == "best":
        place = run_summary(directory).get("best_epoch")
    return embedder, place


def served_feature(config, embedder):
    """The feature that --export_feature asks for: export, embed and serve_check use one.

    Args:
        config: `mmgl_tf.flags.config.Config`, made from the run that --init names.
        embedder: of that run.

    Returns:
        One of the embedder's `FEATURES`.

    Raises:
        ValueError: it has no feature of that name.
    """
    feature = config.export.export_feature
    if feature == "auto":
        return embedder.FEATURES[0]
    if feature not in embedder.FEATURES:
        sizes = ", ".join(f"{name} ({size} values)" for name, size in embedder.feature_sizes.items())
        raise ValueError(
            f"--export_feature={feature}, but {config.finetuning.init} has {sizes}; give one of these, or "
            f"leave the flag out for {embedder.FEATURES[0]}"
        )
    return feature
