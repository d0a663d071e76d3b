"""From the flags of an arm to what a run is really told: presets filled in, doubles dropped, names made."""

import hashlib
import json
import re
import shlex

from mmgl_tf.flags.config import decisive, differences, from_flat, settings, to_flat, unmet, unread_settings
from mmgl_tf.flags.definitions import settings_in
from mmgl_tf.flags.methods import DEFAULTS, recipes
from mmgl_tf.flags.resolution import resolve
from mmgl_tf.flags.validation import validate

KNOWN = {entry.name: entry for _, entry in settings()}
SLUG_LENGTH = 48


def resolved(mode, preset, flags):
    """Every setting of a run.

    Args:
        mode: "pretrain" or "finetune".
        preset: its name.
        flags: {setting: value}, over the preset.

    Returns:
        {setting: value}, as the run's config.json has it.

    Raises:
        ValueError: a name is no setting.
    """
    return to_flat(from_flat(resolve(mode, dict(flags) | {"preset": preset})))


def own_flags(mode, preset, extra, flags):
    """The flags of a stage: those for every stage that it reads, and over them its own.

    Args:
        mode: "pretrain", "finetune" or "eval".
        preset: as in `resolved`.
        extra: {setting: value} for every stage.
        flags: {setting: value} of this one.

    Returns:
        {setting: value}; what would do nothing is left out of `extra`.
    """
    together = {**extra, **flags}
    require_known(together)
    method = ""
    if mode in DEFAULTS:
        named = {name: value for name, value in together.items() if name == "method"}
        method = resolved(mode, preset, named)["method"]
    foreign = {*unread_settings(mode, method)}
    if method and together.get("recipe") not in recipes(method):
        foreign.add("recipe")
    together = {name: value for name, value in together.items() if name in flags or name not in foreign}
    # What is asked of every stage may lack what it needs in this one, as --augmix_severity in fine-tuning.
    free = {name: value for name, value in together.items() if not KNOWN[name].metadata["needs"]}
    values = resolved(mode, preset, free) | together
    return {name: value for name, value in together.items() if name in flags or not unmet(name, values)}


def deciding(mode, preset, flags):
    """The flags that decide: not what the preset says anyway, nor what the mode does not read.

    Two arms that say the same thing differently (`nce_tau=0.07` and nothing) thereby share a run.

    Args:
        mode, preset, flags: as in `resolved`.

    Returns:
        {setting: value}, sorted by name.
    """
    method = resolved(mode, preset, flags)["method"]
    plain, names = resolved(mode, preset, {"method": method}), decisive(mode, method)
    plain["method"] = resolved(mode, preset, {})["method"]
    return {
        name: type(KNOWN[name].default)(value)  # 1 and 1.0 are one decision
        for name, value in sorted(flags.items())
        if name in names and plain[name] != value
    }


def outdated(stage):
    """Settings in which the run on disk differs from what the stage means today.

    A directory is named after what was asked for, not after the defaults, so that a new setting does not
    cast away old runs; where a default or a preset changed, this tells.

    Args:
        stage: `experiments.cell.Stage`.

    Returns:
        list of (setting, value on disk, value today), without settings that the run did not know.
    """
    try:
        old = json.loads((stage.directory / "config.json").read_text())
    except FileNotFoundError:
        return []
    new = resolved(stage.mode, stage.preset, {**stage.flags, "mode": stage.mode, "seed": stage.seed})
    # Where the start lies may be written differently: relative or absolute.
    return [entry for entry in differences(old, new) if entry[0] in old and entry[0] != "init"]


def check(mode, preset, flags):
    """Refuse what main.py would refuse, before anything runs.

    Args:
        mode, preset, flags: as in `resolved`.

    Raises:
        ValueError: says what cannot work.
    """
    require_known(flags)
    validate(from_flat(resolve(mode, dict(flags) | {"preset": preset}) | {"mode": mode}))


def require_known(flags):
    """Refuse settings that main.py does not know.

    Raises:
        ValueError: names them.
    """
    unknown = sorted(set(flags) - set(KNOWN))
    if unknown:
        raise ValueError(
            f"unknown settings {', '.join(unknown)}; known ones are listed by `python main.py --helpshort`"
        )


def parse(text, option="flags"):
    """Flags as they are typed -> {setting: value}.

    Args:
        text: e.g. "--world_seed=1 --nopcc".
        option: whose value it is, for the error.

    Raises:
        ValueError: as in `settings_in`.
    """
    try:
        return settings_in(shlex.split(text))
    except ValueError as error:
        raise ValueError(f"--{option.replace('_', '-')}={text!r}: {error}") from None


def as_words(flags):
    """{setting: value} -> words for the command line, sorted by name."""
    return tuple(
        f"--{'' if value else 'no'}{name}" if isinstance(value, bool) else f"--{name}={value}"
        for name, value in sorted(flags.items())
    )


def slug(flags):
    """A short, readable, not necessarily unique part of a directory name."""
    words = [re.sub(r"[^A-Za-z0-9.]+", "_", word.removeprefix("--")) for word in as_words(flags)]
    return "-".join(words)[:SLUG_LENGTH].strip("-_.")


def settings_digest(*parts):
    """Eight hexadecimal digits that tell runs with different decisions apart.

    Args:
        *parts: anything that JSON can hold.
    """
    text = json.dumps(parts, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:8]
