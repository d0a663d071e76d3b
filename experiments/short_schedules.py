"""Shorter trainings for experiments with many arms."""

from dataclasses import replace

# Half the demo's pre-training, 40 % of its fine-tuning: many arms, and early differences are the larger ones.
SHORT_PRETRAINING = {"epochs": 6, "warmup_epochs": 0.6}
SHORT_FINETUNING = {"epochs": 4, "warmup_epochs": 0.4, "method": "two_stream"}
LAST = {"init_weights": "last"}  # the contrast alone has no accuracy by which a best epoch could be chosen
SHORT = "600 steps of pre-training and 604 of fine-tuning on the demo's world."


def shortened(experiment):
    """The same arms with SHORT schedules; an arm's own flags win."""
    arms = tuple(
        replace(
            arm,
            pretrain=None if arm.pretrain is None else SHORT_PRETRAINING | arm.pretrain,
            finetune=SHORT_FINETUNING | arm.finetune,
        )
        for arm in experiment.arms
    )
    return replace(experiment, arms=arms, about=f"{experiment.about} {SHORT}")
