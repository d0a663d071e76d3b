"""What a fine-tuning started from, noted in its own directory: the start may be gone when it is evaluated."""

import json
from pathlib import Path

from mmgl_tf.flags.config import migrated
from mmgl_tf.modes.identity import described
from mmgl_tf.modes.saved_run import run_settings, run_status
from mmgl_tf.run_directory import atomic_file

NAME = "start.json"


def note_start(directory, init):
    """Write down what --init names, before the first step.

    Args:
        directory: of the fine-tuning.
        init: value of --init.
    """
    with atomic_file(Path(directory) / NAME, "w") as file:
        json.dump({"init": init, **(_read(init) or {})}, file, indent=2)


def start_of(directory, settings):
    """What a fine-tuning started from, as it was then; for one of an earlier version as it is now.

    Args:
        directory: of the fine-tuning.
        settings: its flat configuration.

    Returns:
        {"settings": flat configuration, "status": how the start had ended}; None for random weights, for a
        weights file without a run around it, and where nothing is known any more.
    """
    init = settings["init"]
    try:
        noted = json.loads((Path(directory) / NAME).read_text())
    except (OSError, json.JSONDecodeError):
        return _read(init)
    if noted["init"] != init:  # of an earlier attempt in the same directory
        return _read(init)
    if "settings" not in noted:
        return None
    return {"settings": migrated(noted["settings"]), "status": noted["status"]}


def start_in_words(settings):
    """A start's method in words, "MMGL, no identities"; None for one that this program did not train.

    Args:
        settings: its flat configuration.
    """
    return described(settings) if settings.get("mode") in ("pretrain", "finetune") else None


def _read(init):
    """The run that --init names, or in which the weights file lies that it names."""
    if init == "random":
        return None
    path = Path(init)
    directory = path.parent if path.is_file() else path
    try:
        return {"settings": run_settings(directory), "status": run_status(directory)}
    except ValueError:  # a weights file by itself, or a run that is gone
        return None
