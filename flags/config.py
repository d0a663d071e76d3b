"""The typed, frozen configuration of one run: every setting once, with its unit, range and the paper's value.

`flags/definitions.py` makes one absl flag of each field; below `main.py` nothing else is read. A field's
default is the paper's value where the paper gives one, else the choice argued in docs/choices.md.
"""

import dataclasses
from dataclasses import dataclass, field

from mmgl_tf.flags.data_settings import Augmentation, Data, World
from mmgl_tf.flags.method_settings import Finetuning, Mmgl, Network
from mmgl_tf.flags.scale_settings import Scale
from mmgl_tf.flags.service_settings import Export, Import, Lookup
from mmgl_tf.flags.training_settings import Evaluation, Optimization, Run, Validation

__all__ = [
    "GROUPS",
    "Augmentation",
    "Config",
    "Data",
    "Evaluation",
    "Export",
    "Finetuning",
    "Import",
    "Lookup",
    "Mmgl",
    "Network",
    "Optimization",
    "Run",
    "Scale",
    "Validation",
    "World",
    "differences",
    "from_flat",
    "settings",
    "to_flat",
]


@dataclass(frozen=True)
class Config:
    """All settings of one run, by group. Frozen; made by `mmgl_tf.flags.reading.configs_of`."""

    run: Run = field(default_factory=Run)
    data: Data = field(default_factory=Data)
    world: World = field(default_factory=World)
    augmentation: Augmentation = field(default_factory=Augmentation)
    network: Network = field(default_factory=Network)
    mmgl: Mmgl = field(default_factory=Mmgl)
    finetuning: Finetuning = field(default_factory=Finetuning)
    optimization: Optimization = field(default_factory=Optimization)
    scale: Scale = field(default_factory=Scale)
    validation: Validation = field(default_factory=Validation)
    evaluation: Evaluation = field(default_factory=Evaluation)
    export: Export = field(default_factory=Export)
    lookup: Lookup = field(default_factory=Lookup)
    importing: Import = field(default_factory=Import)


GROUPS = {group.name: group.default_factory for group in dataclasses.fields(Config)}


def settings():
    """All settings in the order of the help page.

    Returns:
        list of (group name, dataclasses.Field).
    """
    return [(group, entry) for group, kind in GROUPS.items() for entry in dataclasses.fields(kind)]


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


# Groups that a mode never reads.
UNREAD = {"pretrain": ("finetuning",), "finetune": ("mmgl",)}


def decisive(mode):
    """Names of the settings that decide where a run of a mode arrives.

    Args:
        mode: value of --mode.
    """
    unread = UNREAD.get(mode, ())
    return [
        entry.name for group, entry in settings() if not entry.metadata["resumable"] and group not in unread
    ]


def differences(old, new):
    """Settings that decide where a run arrives and that differ between two flat configurations.

    Args:
        old: {name: value} of the run on disk; may come from an earlier version and lack names.
        new: {name: value} of the run about to start.

    Returns:
        list of (name, old value, new value); resumable settings are left out, and those that the
        mode never reads.
    """
    # A setting that a run of an earlier version lacks has a default that means what that version did.
    before = {entry.name: entry.default for _, entry in settings()} | old
    return [(name, before[name], new[name]) for name in decisive(new["mode"]) if before[name] != new[name]]
