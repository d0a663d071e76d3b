"""--mode=export: a run's network as a model for TF Serving, seen to work before it is called one."""

import json
import re
from dataclasses import replace
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path

import tensorflow as tf

from mmgl_tf.flags.config import to_flat
from mmgl_tf.machines.reasons import plain_reason
from mmgl_tf.modes.exchange.export_agreement import agreement
from mmgl_tf.modes.exchange.export_examples import drawn_examples, test_examples, would_draw
from mmgl_tf.modes.exchange.export_figures import figures_of, print_figures
from mmgl_tf.modes.exchange.export_history import earlier_figures, terms, trained_on
from mmgl_tf.modes.exchange.export_safetensors import export_safetensors
from mmgl_tf.modes.exchange.export_weights import PLACES, WEIGHTS_DIGEST, run_name, weights_digest
from mmgl_tf.modes.model import prepare
from mmgl_tf.modes.reading import read_splits
from mmgl_tf.modes.saved_run import load_embedder, run_settings, served_feature
from mmgl_tf.run_directory import claim_directory
from mmgl_tf.serving.inference_network import InferenceNetwork
from mmgl_tf.serving.model_card import model_card
from mmgl_tf.serving.predictor import FACTS
from mmgl_tf.serving.saved_model import write_saved_model
from mmgl_tf.serving.server_files import BATCHING, commands, write_server_files
from mmgl_tf.serving.version_directories import new_version, only_writer
from mmgl_tf.serving.warm_up import write_warm_up

PACKAGES = ("tensorflow", "keras", "numpy", "tensorflow-serving-api")


def export(config):
    """Write the next version of --model_name below --workdir.

    Args:
        config: `mmgl_tf.flags.config.Config`, made from the run that --init names.

    Returns:
        0, the exit status.

    Raises:
        ValueError: the run has no such weights or feature, or the model that was written does not do what the
            run's network does; older versions are then as they were.
    """
    if config.importing.safetensors != "none":
        return export_safetensors(config)
    options = config.export
    sizes = batch_sizes(options.serving_batch_sizes)
    if not re.fullmatch(r"[A-Za-z][\w.-]*", options.model_name):
        raise ValueError(
            f"--model_name={options.model_name}: expected letters, digits, '_', '-' and '.', a letter first, "
            "as it is part of a path and of an address"
        )
    # Weights are float32 whatever a run computed with, and the exported network is compared in float32.
    prepare(replace(config, optimization=replace(config.optimization, precision="float32")))
    # Taken first: weights that a training replaces meanwhile are then found to be other ones.
    digest = weights_digest(config)
    trained = _trained(config)
    root = _claim(config.run.workdir, sizes)
    model = root / options.model_name
    try:
        with only_writer(model):
            number = _publish(config, model, trained, sizes, digest)
            write_server_files(root, sizes)
    except tf.errors.OpError as error:
        raise ValueError(f"the model could not be exported: {plain_reason(error.message)}") from error
    print(f"model      {model / str(number)} (signatures serving_default, serving_bytes, serving_images)")
    print(f"card       {model / str(number) / 'model_card.md'}")
    for name, line in commands(root, options.model_name, trained[0].encoder.stream == "two").items():
        print(f"{name:10} {line}")
    print(end="", flush=True)
    return 0


def _publish(config, model, trained, sizes, digest):
    """Evaluates, writes and compares the next version; its number."""
    embedder, which, feature = trained
    options = config.export
    splits, missing = _splits(config)
    found = _figures(config, splits, missing, embedder, feature, which)
    size = (config.data.image_height, config.data.image_width)
    with new_version(model, options.keep_versions) as (number, directory):
        print(f"writing    version {number} of {options.model_name}, {options.export_precision}", flush=True)
        facts = _facts(config, embedder, feature, which, sizes, number) | {WEIGHTS_DIGEST: digest}
        _write(config, directory, embedder, feature, facts)
        examples = test_examples(config, splits) or drawn_examples()
        asked = (options.export_precision, sizes[-1], config.data.resize)
        agreed = agreement(directory, embedder, feature, examples, size, *asked)
        print(f"checked    {agreed}", flush=True)
        card = model_card(
            facts,
            trained_on(config),
            *found[:2],
            earlier_figures(config, which, feature),
            terms(config, splits),
            agreed,
            found[2],
        )
        (directory / "model_card.md").write_text(card)
    return number


def _claim(workdir, sizes):
    """The directory of the models, marked as ours by the server's files."""
    root = Path(workdir)
    known = [path for path in root.glob("*") if path.suffix == ".safetensors" or path.name.startswith(".")]
    if not root.is_dir() or len(known) < len(list(root.glob("*"))):
        claim_directory(root, BATCHING)
    if not (root / BATCHING).is_file():
        write_server_files(root, sizes)
    return root


def batch_sizes(text):
    """--serving_batch_sizes as a list of integers.

    Raises:
        ValueError: not ascending whole numbers from 1 on.
    """
    words = [word.strip() for word in text.split(",")]
    sizes = [int(word) for word in words if word.isdecimal()]
    if len(sizes) < len(words) or sizes[0] < 1 or any(a >= b for a, b in pairwise(sizes)):
        raise ValueError(
            f"--serving_batch_sizes={text}: expected ascending whole numbers with commas between, "
            "such as 1,8,32"
        )
    return sizes


def _trained(config):
    """(embedder, "best" or "last", feature to serve)."""
    which = config.export.export_weights
    loaded = load_embedder(config, which)
    if loaded is None:  # nobody was held out to choose by
        which = "last"
        loaded = load_embedder(config, which)
    embedder, _ = loaded
    feature = served_feature(config, embedder)
    print(f"exporting  {feature} feature, {which} weights of {config.finetuning.init}", flush=True)
    return embedder, which, feature


def _splits(config):
    """(the data set of the run, "") or (None, why it is not there)."""
    if config.export.skip_metrics and would_draw(config):
        return None, "the world is not drawn"  # for a handful of images
    try:
        return read_splits(config), ""
    except (ValueError, OSError) as error:
        return None, f"the data set {config.data.dataset} cannot be read ({error})"


def _figures(config, splits, missing, embedder, feature, which):
    """(protocol's sentences, cells, why there are none, for the card)."""
    why = "--skip_metrics was given" if config.export.skip_metrics else missing
    if not why:
        try:
            protocol, cells = figures_of(config, splits, embedder, feature, which)
        except (ValueError, OSError) as error:
            why = str(error)
        else:
            print_figures(protocol, cells)
            return protocol, cells, ""
    print(f"metrics    left out: {why}", flush=True)
    # Causes name places of this machine.
    told = f"the data set {config.data.dataset} could not be evaluated"
    return [], [], why if config.export.skip_metrics else told


def _facts(config, embedder, feature, which, sizes, number):
    """The content of model.json."""
    return {
        "model_name": config.export.model_name,
        "version": number,
        "backbone": embedder.encoder.backbone,
        "height": config.data.image_height,
        "width": config.data.image_width,
        "resize": config.data.resize,
        "streams": embedder.encoder.stream,
        "num_features": embedder.feature_sizes[feature],
        "feature": feature,
        "precision": config.export.export_precision,
        "weights": which,
        "batch_sizes": sizes,
        "dataset": run_settings(config.finetuning.init).get("dataset"),
        "packages": {name: version(name) for name in PACKAGES},
        "source": run_name(config.finetuning.init),
        "config": {name: value for name, value in to_flat(config).items() if name not in PLACES},
    }


def _write(config, directory, embedder, feature, facts):
    """The model, its warm-up requests and its facts."""
    size = (config.data.image_height, config.data.image_width)
    network = InferenceNetwork(embedder, feature, config.export.export_precision)
    write_saved_model(network, *size, directory, config.data.resize)
    drawn = drawn_examples()
    write_warm_up(
        directory,
        facts["model_name"],
        facts["batch_sizes"],
        drawn.encoded,
        drawn.modality,
        size,
        facts["streams"] == "two",
    )
    Path(directory, FACTS).write_text(json.dumps(facts, indent=2))
