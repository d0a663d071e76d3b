"""What a model card tells of a run: what it saw, how it was found to be, whose images they were."""

import json
from pathlib import Path

from mmgl_tf.modes.identity import described
from mmgl_tf.modes.saved_run import run_settings, run_status
from mmgl_tf.modes.start import start_of

LONGEST_CHAIN = 5  # runs that started from one another


def trained_on(config):
    """Sentences on the run and on what it started from.

    Args:
        config: `mmgl_tf.flags.config.Config`, made from the run.
    """
    run = str(config.finetuning.init)
    known, sentences = {"settings": run_settings(run), "status": run_status(run)}, []
    for _ in range(LONGEST_CHAIN):
        settings = known["settings"]
        sentences.append(_sentence(run, settings, known["status"]))
        if settings["mode"] != "finetune":
            break
        init = settings.get("init", "random")
        known, run = start_of(run, settings | {"init": init}), init
        if known is None:
            sentences.append(
                "It started from random weights."
                if run == "random"
                else f"It started from {Path(run).name}, of which nothing more is known here."
            )
            break
    return sentences


def _sentence(run, settings, status):
    """One run in words."""
    name, mode = Path(run).name, settings["mode"]
    size = f"{settings.get('image_height')}x{settings.get('image_width')} pixels"
    if mode == "import":
        data = settings.get("dataset")
        return (
            f"{name}: imported from {Path(settings.get('checkpoint', '')).name}, {size}; "
            + (f"said to be trained on {data}" if data else "what it was trained on is not known")
            + ". Its licence is its authors'."
        )
    data = settings.get("dataset")
    if data == "synthetic":
        data += f" (drawn people, layout {settings.get('world_layout')}, seed {settings.get('world_seed')})"
    if data == "regdb":
        data += f" (trial {settings.get('trial')})"
    how = f"{'fine-tuned' if mode == 'finetune' else 'pre-trained'} as {described(settings)}"
    return (
        f"{name}: {how}, on {data}, --train_ids={settings.get('train_ids')}, {size}, "
        f"{settings.get('epochs')} epochs, seed {settings.get('seed')}; the run is {status}."
    )


def earlier_figures(config, which, feature):
    """Cells that --mode=eval found for the same weights and feature.

    Returns:
        list of (name of the evaluation's directory, cell).
    """
    found = []
    for path in sorted(Path(config.finetuning.init).glob("eval/*/results.json")):
        try:
            cells = json.loads(path.read_text())["cells"]
            found += [
                (path.parent.name, cell)
                for cell in cells
                if (cell["weights"], cell["feature"]) == (which, feature)
            ]
        except (OSError, json.JSONDecodeError, KeyError):  # half a file, or another program's
            continue
    return found


def terms(config, splits):
    """{"licence", "citation"} of the images that the run saw, as far as they can be told.

    Args:
        config: `mmgl_tf.flags.config.Config`, made from the run.
        splits: its data set, or None.
    """
    data = run_settings(config.finetuning.init).get("dataset")
    if data == "synthetic":
        return {"licence": "The images are drawn by this program; nobody is shown in them.", "citation": ""}
    if splits is None or splits.name != data:
        return {"licence": "", "citation": ""}
    return {"licence": splits.licence, "citation": splits.citation}
