"""From what was typed to Configs: presets, settings taken over from a run, default directories."""

import json
from dataclasses import replace
from pathlib import Path

from mmgl_tf.flags.config import defaults, from_flat, migrated, settings, unread_settings
from mmgl_tf.flags.methods import DEFAULTS, evaluated
from mmgl_tf.flags.resolution import layout_of, refuse_unread, resolve
from mmgl_tf.flags.validation import validate

# Settings that are never taken over from a saved run.
_NOT_INHERITED = ("mode", "init", "workdir", "preset", "force", "strategy", "jit_compile")
# Values of --init that eval takes without a run.
WITHOUT_RUN = ("chance", "hog", "colour", "pixels")
# Settings that a saved run's weights were made with, beside those that training alone reads.
_BUILT_IN = ("backbone", "stem_init")
# Settings that --mode=import reads from the checkpoint's tensors.
_READ_FROM_CHECKPOINT = (
    "backbone",
    "non_local_width",
    "ddag_parts",
    "mpanet_patterns",
    "mpanet_alleviation",
)
# Modes that take over the settings of the saved run that --init names.
_MODES_OF_SAVED_RUNS = ("eval", "visualize", "export", "serve_check", "embed")
# Of those, the ones that take several runs.
_MODES_OF_SEVERAL_RUNS = ("eval", "visualize")


def configs_of(typed):
    """Typed flags -> Configs; several only where --init names several runs to look at.

    Defaults are overridden by the preset, and those by what was typed; eval, visualize, export, serve_check
    and embed begin with the settings of the run that --init names instead.

    Args:
        typed: {setting name: value} of the flags that were given.

    Raises:
        ValueError: a setting is out of range, or two do not fit together, or --init names no run.
    """
    values = defaults() | typed
    if _starts_from_saved_run(values):
        chosen = _of_saved_runs(values, typed)
    else:
        _refuse_empty(typed)
        if values["mode"] == "import":
            _refuse_read_from_checkpoint(typed)
        own = resolve(values["mode"], typed) | {"preset": values["preset"]}
        if not own.get("workdir"):
            own["workdir"] = default_workdir(values | own)
        chosen = [own]
    configs = [replace(from_flat(values), typed=frozenset(typed)) for values in chosen]
    for config in configs:
        validate(config)
    return configs


def _refuse_empty(typed):
    """Refuse an empty word that would be taken for the default, such as that of an unset shell variable."""
    for _, entry in settings():
        choices = entry.metadata["choices"]
        if typed.get(entry.name) == "" and (entry.default or choices) and "" not in (choices or ()):
            expected = f"one of {', '.join(choices)}" if choices else f"a value, such as {entry.default}"
            raise ValueError(f"--{entry.name}= is empty: expected {expected}, or leave it out")


def is_saved_model(path):
    """Whether a directory is an exported model, or holds numbered versions of one."""
    path = Path(path)
    return (path / "saved_model.pb").is_file() or any(path.glob("[0-9]*/saved_model.pb"))


def _starts_from_saved_run(values):
    if values["mode"] == "eval" and values["init"] in WITHOUT_RUN:
        return False
    if values["mode"] == "embed" and is_saved_model(values["init"]):
        return False
    return values["mode"] in _MODES_OF_SAVED_RUNS


def _of_saved_runs(values, typed):
    """The settings for each run that --init names."""
    mode = values["mode"]
    runs = _runs(values["init"])
    if not runs or values["init"] == "random":
        several = ", or several with commas" if mode in _MODES_OF_SEVERAL_RUNS else ""
        raise ValueError(
            f"--mode={mode} with --init={values['init']}: expected --init=RUN, the directory of an earlier "
            f"run{several}"
        )
    if len(runs) > 1 and mode not in _MODES_OF_SEVERAL_RUNS:
        raise ValueError(f"--mode={mode} takes one run; --init names {len(runs)}: {', '.join(runs)}")
    chosen = [_of_saved_run(run, typed) for run in runs]
    if mode == "eval" and len(runs) > 1 and "workdir" in typed:
        for number, own in enumerate(chosen, 1):  # a directory for each run
            own["workdir"] = str(Path(typed["workdir"]) / f"run-{number}")
    return chosen


def _refuse_read_from_checkpoint(typed):
    """Refuse flags for settings that are read from the checkpoint."""
    for name in _READ_FROM_CHECKPOINT:
        if name in typed:
            raise ValueError(f"--{name} with --mode=import: the checkpoint tells it; leave it out")


def _runs(init):
    """The run directories that --init names."""
    runs = []
    for name in (word.strip() for word in init.split(",")):
        runs += (
            [name.replace("{trial}", str(trial)) for trial in range(1, 11)] if "{trial}" in name else [name]
        )
    return [name for name in runs if name]


def _of_saved_run(run, typed):
    """The settings of a run, with what was typed over them."""
    path = Path(run) / "config.json"
    try:
        saved = migrated(json.loads(path.read_text()))
    except (OSError, json.JSONDecodeError) as error:
        there = isinstance(error, json.JSONDecodeError) or Path(run).is_dir()
        why = f"its config.json cannot be read ({error})" if path.exists() else "it holds no config.json"
        exported = ", or an exported model" if typed.get("mode") == "embed" else ""
        raise ValueError(
            f"--init={run} is no run to look at: {why if there else 'it is no directory'}. "
            f"Give the --workdir of an earlier run{exported}."
        ) from error
    _refuse_changes(run, saved, typed)
    if typed.get("mode") in ("eval", "visualize") and "dataset" not in saved | typed:
        raise ValueError(
            f"--mode={typed['mode']} of {run}: an imported checkpoint names no data set; give --dataset and "
            "--data_dir"
        )
    known = {entry.name for _, entry in settings()} - set(_NOT_INHERITED)
    values = {name: value for name, value in saved.items() if name in known} | typed
    values |= {"init": run, "preset": saved.get("preset", "paper")}
    if "workdir" not in typed:
        values["workdir"] = str(Path(run) / _below_run(values))
    return values


def _refuse_changes(run, saved, typed):
    """Refuse another value of what a saved run was trained with: a look at it changes nothing."""
    for name in (*_BUILT_IN, *unread_settings(typed["mode"])):
        if name in typed and name in saved and typed[name] != saved[name]:
            raise ValueError(
                f"--{name}={typed[name]}, but {run} was trained with --{name}={saved[name]}; leave it out"
            )
    refuse_unread(typed["mode"], "", [name for name in typed if name not in saved])


def _below_run(values):
    """Where below the run the files of a mode go."""
    values = defaults() | values
    if values["mode"] in ("export", "serve_check"):
        return "export"
    if values["mode"] == "embed":
        return f"embed/{_images(values)}"
    return f"{values['mode']}/{'-'.join([_data(values), *_options(values)])}"


def _images(values):
    """The name of what --images names, for a directory's name."""
    return Path(values["images"]).resolve().stem or "images"


def _data(values):
    """The data set's name, for a directory's name."""
    return (
        f"{values['dataset']}-trial{values['trial']}" if values["dataset"] == "regdb" else values["dataset"]
    )


def _options(values):
    """What makes an evaluation another than the method's usual one; part of its directory's name."""
    plain = {entry.name: entry.default for group, entry in settings() if group == "evaluation"}
    plain |= evaluated(values.get("method"), layout_of(defaults() | values))
    chosen = {
        name: values.get(name, default)
        for name, default in plain.items()
        if values.get(name, default) != default
    }
    names = [name if chosen[name] else f"no{name}" for name in ("flip", "rerank") if name in chosen]
    names += [chosen["distance"]] if "distance" in chosen else []
    names += [chosen["gallery_draw"]] if "gallery_draw" in chosen else []
    names += [f"identities_{chosen['count_identities']}"] if "count_identities" in chosen else []
    return names + ([f"{chosen['trials']}_trials"] if "trials" in chosen else [])


def default_workdir(values):
    """A run directory that says what is in it, so that different things do not meet in one.

    Args:
        values: {setting name: value}, all of them.
    """
    mode, data = values["mode"], _data(values)
    if mode == "synthesize":
        return f"runs/world-{values['world_layout']}-seed{values['world_seed']}"
    if mode == "eval":
        return "-".join([f"runs/eval-{data}-{values['init']}", *_options(values)])
    if mode in ("embed", "search"):
        return f"runs/{mode}-{_images(values)}"
    if mode == "import":
        return f"runs/import-{Path(values['checkpoint']).stem}"
    parts = [mode, data]
    if mode == "finetune":
        parts += [values["method"], start_name(values["init"])]
    elif mode == "pretrain" and values["method"] != DEFAULTS[mode]:
        parts.append(values["method"])
    parts += [values["recipe"]] if values["recipe"] != "common" else []
    return "runs/" + "-".join([*parts, values["preset"]])


def start_name(init):
    """What a fine-tuning starts from, in a word: "random", a method's name, "imported" or "weights".

    Args:
        init: value of --init; what it names need not be there.
    """
    if init == "random":
        return init
    try:
        saved = migrated(json.loads((Path(init) / "config.json").read_text()))
    except (OSError, ValueError):
        return "weights"
    if saved.get("mode") == "import":
        return "imported"
    return saved.get("method") or "weights"
