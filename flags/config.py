"""The typed, frozen configuration of one run: every setting once, with its unit, range and the paper's value.

`flags/definitions.py` makes one absl flag of each field; below `main.py` nothing else is read. A field's
default is the paper's value where the paper gives one, else the choice argued in docs/choices.md.
"""

import dataclasses
import functools
from dataclasses import field

from mmgl_tf.flags.data_settings import Data, World
from mmgl_tf.flags.methods import DEFAULTS, IMAGES, METHODS, SHARED, fixed, groups_of, methods_of
from mmgl_tf.flags.network_settings import Finetuning, Network, Pretraining
from mmgl_tf.flags.scale_settings import Scale
from mmgl_tf.flags.service_settings import Export, Import, Lookup
from mmgl_tf.flags.training_settings import Evaluation, Optimization, Run

# Every group of settings, in the order of the help page. Those of methods go by the methods' names.
GROUPS = {
    "run": Run,
    "data": Data,
    "world": World,
    **IMAGES,
    "network": Network,
    **SHARED,
    **METHODS,
    "pretraining": Pretraining,
    "finetuning": Finetuning,
    "optimization": Optimization,
    "scale": Scale,
    "evaluation": Evaluation,
    "export": Export,
    "lookup": Lookup,
    "importing": Import,
}
OF_METHODS = (*IMAGES, *SHARED, *METHODS)
# Groups that one kind of training reads, whatever its method.
OF_TRAINING = {"pretrain": "pretraining", "finetune": "finetuning"}
# Settings outside of these groups that training alone reads.
_OF_ANY_TRAINING = ("method", "recipe")

Config = dataclasses.make_dataclass(
    "Config",
    [
        *((name, kind, field(default_factory=kind)) for name, kind in GROUPS.items()),
        ("typed", frozenset, field(default=frozenset(), compare=False)),
    ],
    frozen=True,
    namespace={
        "__doc__": "All settings of one run, by group, and `typed`: names of the settings that were given on "
        "the command line. Frozen; made by `reading.configs_of`."
    },
)


@functools.cache
def options_type(method):
    """All that one method reads, as a frozen dataclass: its own settings and those it shares.

    Fine-tuning methods also read the group `finetuning`. `options_type("agw")(gem_power=2.0)` has every
    other setting at its default.
    """
    groups = groups_of(method) + (("finetuning",) if method in methods_of("finetune") else ())
    fields = [
        (entry.name, entry.type, field(default=entry.default))
        for group in groups
        for entry in dataclasses.fields(GROUPS[group])
    ]
    return dataclasses.make_dataclass(f"Options_{method}", fields, frozen=True)


def options(config):
    """The `options_type` of a configuration's method, filled from it.

    Args:
        config: `Config` whose `run.method` is set.
    """
    kind, flat = options_type(config.run.method), to_flat(config)
    return kind(**{entry.name: flat[entry.name] for entry in dataclasses.fields(kind)})


def settings():
    """All settings in the order of the help page.

    Returns:
        list of (group name, dataclasses.Field).
    """
    return [(group, entry) for group, kind in GROUPS.items() for entry in dataclasses.fields(kind)]


@functools.cache
def _by_name():
    return {entry.name: entry for _, entry in settings()}


def defaults():
    """{setting: its default}."""
    return {entry.name: entry.default for _, entry in settings()}


def from_flat(values):
    """Build a Config from {setting name: value}; settings that are not named keep their defaults.

    Raises:
        ValueError: a name is not a setting.
    """
    by_group = {group: {} for group in GROUPS}
    owner = {entry.name: group for group, entry in settings()}
    for name, value in values.items():
        if name not in owner:
            raise ValueError(
                f"unknown setting {name!r}; known settings are listed by `python main.py --helpshort`"
            )
        by_group[owner[name]][name] = value
    return Config(**{group: GROUPS[group](**chosen) for group, chosen in by_group.items()})


def to_flat(config):
    """The inverse of `from_flat`: {setting name: value} in help order."""
    return {entry.name: getattr(getattr(config, group), entry.name) for group, entry in settings()}


def unread(mode, method):
    """Names of the groups that a run never reads: those of other methods, and of the other training.

    Args:
        mode: value of --mode.
        method: value of --method; "" = of no method.
    """
    read = groups_of(method) if method in METHODS else ()
    left_out = {group for group in OF_METHODS if group not in read}
    if mode in DEFAULTS:
        left_out |= {group for other, group in OF_TRAINING.items() if other != mode}
    return left_out


def unread_settings(mode, method=""):
    """Settings that do nothing in a run, whatever the others are.

    Modes that train nothing take over what the run they look at was trained with; of training's settings they
    read only --init, and an import its method and what belongs to the imported network.

    Args:
        mode: value of --mode.
        method: value of --method, for a mode that trains.

    Returns:
        {setting: its group}.
    """
    if mode in DEFAULTS:
        left_out = unread(mode, method)
        return {entry.name: group for group, entry in settings() if group in left_out}
    left_out = {*OF_METHODS, *OF_TRAINING.values()}
    read = {"init"} | ({"method", *built_in()} if mode == "import" else set())
    return {
        entry.name: group
        for group, entry in settings()
        if (group in left_out or entry.name in _OF_ANY_TRAINING) and entry.name not in read
    }


def built_in():
    """Names of the methods' settings that are built into a network's weights."""
    return {name for method in METHODS for name in fixed(method)}


def unmet(name, values):
    """What a setting lacks to do anything: {other setting: values that it would need, as a tuple or range}.

    Args:
        name: of the setting.
        values: flat configuration, all settings.
    """
    lacking = [
        {other: allowed for other, allowed in way.items() if values[other] not in allowed}
        for way in ways_to_act(_by_name()[name])
    ]
    return lacking[0] if all(lacking) else {}


def ways_to_act(entry):
    """The `needs` of a setting in one form: a list of {other setting: tuple or range}; one is enough.

    Args:
        entry: `dataclasses.Field` of the setting.
    """
    needs = entry.metadata["needs"] or {}
    return [
        {other: value if isinstance(value, tuple | range) else (value,) for other, value in way.items()}
        for way in (needs if isinstance(needs, tuple) else (needs,))
    ]


def recorded(config):
    """The settings that config.json keeps: {name: value} without the groups that the run never reads."""
    left_out = unread(config.run.mode, config.run.method)
    flat = to_flat(config)
    return {entry.name: flat[entry.name] for group, entry in settings() if group not in left_out}


def migrated(saved):
    """A config.json as this version would have written it.

    Earlier versions knew one pre-training method and noted a fine-tuning method beside it; their wd_on_bn
    spoke of biases as well.

    Args:
        saved: {name: value} of a run on disk.
    """
    mode = saved.get("mode")
    if "wd_on_bn" in saved:
        saved = {"wd_on_bias": saved["wd_on_bn"]} | saved
    if mode in DEFAULTS and saved.get("method") not in methods_of(mode):
        return saved | {"method": DEFAULTS[mode]}
    return saved


def decisive(mode, method):
    """Names of the settings that decide where a run arrives.

    Args:
        mode: value of --mode.
        method: value of --method.
    """
    left_out = unread(mode, method)
    return [
        entry.name for group, entry in settings() if not entry.metadata["resumable"] and group not in left_out
    ]


def settled_at_start():
    """Names of the settings that a begun run cannot change: what it has learned is of them."""
    return {"mode", "method"} | {entry.name for _, entry in settings() if entry.metadata["at_start"]}


def differences(old, new):
    """Settings that decide where a run arrives and that differ between two flat configurations.

    Args:
        old: {name: value} of the run on disk; may come from an earlier version and lack names.
        new: {name: value} of the run about to start; has `mode` and `method`.

    Returns:
        list of (name, old value, new value); resumable settings are left out, those that the run's method
        does not read, and those that do nothing in either run, such as Adam's with SGD.
    """
    # A setting that a run of an earlier version lacks has a default that means what that version did.
    before, after = defaults() | migrated(old), defaults() | migrated(new)
    return [
        (name, before[name], after[name])
        for name in decisive(after["mode"], after["method"])
        if before[name] != after[name] and not (unmet(name, before) and unmet(name, after))
    ]
