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
    "part_embedding_size": 128,
    "epochs": 12,
    "warmup_epochs": 1.2,
    "lr_schedule": "offset",
    "clip_norm": 10.0,
    "validation_permutations": 2,
}

# The demo on a world of a few people, for a few steps: shows that everything works, not that it learns.
SMOKE = DEMO | {
    "world_train_identities": 24,
    "world_validation_identities": 8,
    "world_test_identities": 8,
    "epochs": 2,
    "warmup_epochs": 0.5,
    "steps_per_epoch": 15,
    "validation_permutations": 1,
    "probe_images": 32,
    "log_every_steps": 5,
}

PRESETS = {"paper": PAPER, "demo": DEMO, "smoke": SMOKE}
