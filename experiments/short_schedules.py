"""How long the arms of an experiment train: as their preset says, or in the demo a share of it."""

from dataclasses import replace

from experiments.settings import resolved

PRESET = "demo"
# Many arms, and early differences are the larger ones.
SHARES = {"pretrain": 0.5, "finetune": 0.4}
SHORT = "With --preset=demo half its pre-training and 40 % of its fine-tuning."
LAST = {"init_weights": "last"}  # the contrast alone has no accuracy by which a best epoch could be chosen
# What a method's usual training depends on.
_ASKED = ("dataset", "world_layout")


def shortened(experiment):
    """The same, with SHORT trainings in the demo."""
    return replace(experiment, about=f"{experiment.about} {SHORT}", shortened=True)


def with_lengths(arm, preset, extra, shortened, finetune_extra=None):
    """An arm with what its share of a training comes to: epochs and warm-up.

    Args:
        arm: `experiments.cell.Arm`; what its flags say of epochs stays.
        preset: name of the preset.
        extra: {setting: value} for every stage; what it says stays as well.
        shortened: whether the demo's trainings are cut to `SHARES`. Other presets keep their own length.
        finetune_extra: {setting: value} for every fine-tuning, over `extra`.

    Returns:
        The arm with further flags.
    """
    shares = SHARES if shortened and preset == PRESET else dict.fromkeys(SHARES, 1.0)
    pretrain = arm.pretrain
    if pretrain is not None:
        share = arm.pretraining_times * shares["pretrain"]
        pretrain = _cut("pretrain", preset, extra, pretrain, share)
    more = {**extra, **(finetune_extra or {})}
    finetune = _cut("finetune", preset, more, arm.finetune, shares["finetune"])
    return replace(arm, pretrain=pretrain, finetune=finetune)


def _cut(mode, preset, extra, flags, share):
    """The flags of a stage with the lengths of a share of its method's usual training."""
    if share == 1.0 or "epochs" in {**extra, **flags}:
        return flags
    together = {**extra, **flags}
    asked = {name: together[name] for name in _ASKED if name in together}
    usual = resolved(mode, preset, asked | {name: flags[name] for name in ("method",) if name in flags})
    epochs = max(1, round(share * usual["epochs"]))
    part = epochs / usual["epochs"]
    # No milestones: the demo's schedules are one cosine.
    changed = {"epochs": epochs, "warmup_epochs": round(part * usual["warmup_epochs"], 6)}
    return {name: value for name, value in changed.items() if name not in extra} | flags
