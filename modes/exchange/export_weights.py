"""Which weights file of a run an export is made of, and how to tell later whether they are still the same."""

import hashlib
from pathlib import Path

from mmgl_tf.modes.saved_run import is_finetuned, weights_file

WEIGHTS_DIGEST = "weights_sha256"  # in model.json
# Where something lay on the machine that exported; a model is handed on without them.
PLACES = ("workdir", "init", "data_dir", "cache_dir", "checkpoint", "images", "gallery")


def weights_digest(config):
    """The SHA-256 of the weights file that --mode=export would use.

    Args:
        config: `mmgl_tf.flags.config.Config`, made from the run that --init names.

    Returns:
        Hexadecimal digits.

    Raises:
        ValueError: the run has no weights.
    """
    run = config.finetuning.init
    name = "embedder" if is_finetuned(run) else "encoder"
    path, _ = weights_file(run, name, config.export.export_weights)
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def run_name(run):
    """The name of a run's directory, without where it lies."""
    return Path(run).resolve().name


def outdated(facts, config):
    """Why an exported version is not what --mode=export would write now.

    Args:
        facts: content of its model.json; {} where it has none.
        config: `mmgl_tf.flags.config.Config`, made from the run that --init names.

    Returns:
        A clause, or "" where it is up to date.

    Raises:
        ValueError: the run has no weights.
    """
    if WEIGHTS_DIGEST not in facts:
        return "does not say which weights it was made of"
    if facts[WEIGHTS_DIGEST] != weights_digest(config):
        return f"was made of other weights than {config.finetuning.init} has now"
    options = config.export
    for setting, wanted in (("precision", options.export_precision), ("feature", options.export_feature)):
        if wanted not in ("auto", facts.get(setting)):
            return f"has {setting} {facts.get(setting)}, not {wanted} as --export_{setting} says"
    return ""
