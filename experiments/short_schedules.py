"""How long the arms of an experiment train: as their preset says, or in the demo a share of it."""

from dataclasses import replace

from experiments.settings import resolved

PRESET = "demo"
# Many arms, and early differences are the larger ones.
SHARES = {"pretrain": 0.5, "finetune": 0.4}
SHORT = "With --preset=demo half its pre-training and 40 % of its fine-tuning: 600 and 604 steps."


def with_lengths(arm, preset, extra, shortened):
    """An arm with what its share of a training comes to: epochs and warm-up.

    Args:
        arm: `experiments.cell.Arm`; what its flags say of epochs stays.
        preset: name of the preset.
        extra: {setting: value} for every stage; what it says stays as well.
        shortened: whether the demo's trainings are cut to `SHARES`. Other presets keep their own length.

    Returns:
        The arm with further flags.
    """
    shares = SHARES if shortened and preset == PRESET else dict.fromkeys(SHARES, 1.0)
    pretrain = arm.pretrain
    if pretrain is not None:
        share = arm.pretraining_times * shares["pretrain"]
        pretrain = _cut("pretrain", preset, extra, pretrain, share)
    return replace(
        arm, pretrain=pretrain, finetune=_cut("finetune", preset, extra, arm.finetune, shares["finetune"])
    )


def _cut(mode, preset, extra, flags, share):
    """The flags of a stage with the lengths of a share of its method's usual training."""
    if share == 1.0 or "epochs" in {**extra, **flags}:
        return flags
    usual = resolved(mode, preset, {name: flags[name] for name in ("method",) if name in flags})
    epochs = max(1, round(share * usual["epochs"]))
    part = epochs / usual["epochs"]
    # No milestones: the demo's schedules are one cosine.
    changed = {"epochs": epochs, "warmup_epochs": round(part * usual["warmup_epochs"], 6)}
    return {name: value for name, value in changed.items() if name not in extra} | flags
