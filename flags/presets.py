"""Named overrides of the defaults, with where each value comes from. An explicit flag wins over a preset."""

# The defaults of flags/config.py are the paper's configuration: ResNet-50, 288 x 144, 48 + 48, 100 epochs.
PAPER = {}

# One small network on the drawn world: what docs/choices.md calls the demo recipe. 96 x 48 pixels give the
# feature map six rows, one a stripe; the padding shrinks with the image (10 of 288 pixels -> 4 of 96).
DEMO = {
    "train_ids": "train",
    "image_height": 96,
    "image_width": 48,
    "pad_pixels": 4,
    "backbone": "resnet10",
    "epochs": 12,
    "warmup_epochs": 1.2,
    "lr_schedule": "offset",
    "clip_norm": 10.0,
}

# The demo on a world of a few people, for a few steps: shows that everything works, not that it learns.
SMOKE = DEMO | {
    "world_train_identities": 24,
    "world_validation_identities": 8,
    "world_test_identities": 8,
    "epochs": 2,
    "warmup_epochs": 0.5,
    "steps_per_epoch": 15,
    "probe_images": 32,
    "log_every_steps": 5,
}

# What fine-tuning changes: the baselines' released recipe (step schedule, Nesterov, crop and flip only).
FINETUNE_PAPER = {
    "epochs": 81,
    "lr_schedule": "step",
    "nesterov": True,
    "augmix_modalities": "none",
    "erase_modalities": "none",
}

# On the drawn world: ten epochs of 151 steps, one cosine, and the trunk learns as fast as the heads, since
# a random one has far to go. The same for every start.
FINETUNE_DEMO = (DEMO | FINETUNE_PAPER) | {
    "method": "two_stream",
    "epochs": 10,
    "warmup_epochs": 1.0,
    "lr_schedule": "offset",
    "clip_norm": 0.0,
    "trunk_lr_multiplier": 1.0,
}

FINETUNE_SMOKE = (SMOKE | FINETUNE_DEMO) | {"epochs": 2, "warmup_epochs": 0.5, "steps_per_epoch": 15}

PRESETS = {"paper": PAPER, "demo": DEMO, "smoke": SMOKE}
FINETUNE_PRESETS = {"paper": FINETUNE_PAPER, "demo": FINETUNE_DEMO, "smoke": FINETUNE_SMOKE}


def preset(name, mode):
    """The overrides that a preset means in a mode."""
    return (FINETUNE_PRESETS if mode == "finetune" else PRESETS)[name]


def long_enough(name):
    """Whether trainings of a preset are long enough to be judged by whom they find; smoke's show nothing."""
    return name != "smoke"
