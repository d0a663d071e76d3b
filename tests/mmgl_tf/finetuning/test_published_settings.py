"""--preset=paper of methods with recipes of their own, in numbers, on each data set."""

import pytest

from mmgl_tf.finetuning import FINETUNING
from mmgl_tf.flags.config import defaults, from_flat, options
from mmgl_tf.flags.resolution import resolve
from mmgl_tf.flags.validation import validate
from mmgl_tf.modes.model import milestones
from mmgl_tf.optimizers.schedules import make_schedule
from mmgl_tf.pipelines.augmentation.operations.erase import Erase
from mmgl_tf.pipelines.augmentation.operations.pad_crop_flip import PadCropFlip
from mmgl_tf.pipelines.batches.recipe import Sampler

MPANET = {
    "backbone": "resnet50",
    "stream": "one",
    "image_height": 384,
    "image_width": 128,
    "resize": "bilinear",
    "identities_per_batch": 16,
    "images_per_identity": 4,
    "optimizer": "adam",
    "learning_rate": 3.5e-4,
    "momentum": 0.9,
    "adam_beta_2": 0.999,
    "weight_decay": 5e-4,
    "wd_on_bn": True,
    "wd_on_bias": True,
    "trunk_lr_multiplier": 1.0,
    "lr_schedule": "step",
    "lr_milestones": "80,120",
    "warmup_epochs": 0.0,
    "epochs": 140,
    "steps_per_epoch": 0,
    "clip_norm": 0.0,
    "flip": False,
    "mpanet_patterns": 6,
    "mpanet_alleviation": "both",
}
VCD = MPANET | {
    "image_height": 256,
    "learning_rate": 2.6e-4,
    "lr_milestones": "209",
    "warmup_epochs": 9.0,
    "warmup_start": 0.109,
    "epochs": 600,
    "vcd_representation_size": 512,
    "vcd_distillation": "released",
    "vcd_smoothing": 0.1,
}
SETTINGS = {
    ("mpanet", "sysu"): MPANET,
    ("mpanet", "regdb"): MPANET
    | {"image_height": 256, "identities_per_batch": 12, "images_per_identity": 5, "lr_milestones": "110"},
    ("vcd", "sysu"): VCD,
    ("vcd", "regdb"): VCD | {"identities_per_batch": 8},
}
CHAINS = {
    "mpanet": (PadCropFlip(10, 0.5, 127), Erase(0.5, 0.02, 0.33, 0.3, 3.3, 10)),
    "vcd": (PadCropFlip(0, 0.5), Erase(0.0, 0.02, 0.4, 0.3)),  # flips alone
}
SAMPLERS = {"mpanet": Sampler.TO_EXHAUSTION, "vcd": Sampler.ONCE_EACH}


def published(method, dataset, **typed):
    return defaults() | resolve("finetune", {"method": method, "dataset": dataset} | typed)


@pytest.mark.parametrize(("method", "dataset"), SETTINGS)
def test_the_paper_s_preset_is_the_published_recipe(method, dataset):
    found, expected = published(method, dataset), SETTINGS[method, dataset]
    assert {name: found[name] for name in expected} == expected
    # The same on a world that is drawn like it.
    drawn = published(method, "synthetic", world_layout=dataset)
    assert {name: drawn[name] for name in expected} == expected


@pytest.mark.parametrize("method", CHAINS)
def test_images_are_changed_and_drawn_as_published(method):
    config = from_flat(published(method, "sysu") | {"mode": "finetune"})
    validate(config)
    recipe = FINETUNING[method].recipe(options(config))
    assert recipe.sampler is SAMPLERS[method]
    assert [view.chain for view in recipe.views] == [CHAINS[method]] * 2


def rate(values, epoch):
    """The learning rate of an epoch from 0."""
    more = {"start": values["warmup_start"] * values["learning_rate"]} if values["warmup_start"] else {}
    schedule = make_schedule(
        values["lr_schedule"],
        values["learning_rate"],
        values["warmup_epochs"],
        values["epochs"],
        3,
        milestones(values["lr_milestones"]),
        **more,
    )
    return float(schedule(3 * epoch + 1))


def test_mpanet_s_rate_falls_after_80_and_120_epochs():
    expected = {0: 1.0, 79: 1.0, 80: 0.1, 119: 0.1, 120: 0.01, 139: 0.01}
    found = {epoch: rate(published("mpanet", "sysu"), epoch) / 3.5e-4 for epoch in expected}
    assert found == pytest.approx(expected, rel=1e-6)
    found = {epoch: rate(published("mpanet", "regdb"), epoch) / 3.5e-4 for epoch in (109, 110)}
    assert found == pytest.approx({109: 1.0, 110: 0.1}, rel=1e-6)


def test_vcd_s_warm_up_and_milestone_count_epochs_from_one():
    def authors(epoch):
        t = epoch + 1
        if t < 10:
            return 0.01 * (1 - t / 10) + t / 10
        return 1.0 if t < 210 else 0.1

    values = published("vcd", "sysu")
    for epoch in (*range(12), 208, 209, 210, 599):
        assert rate(values, epoch) / 2.6e-4 == pytest.approx(authors(epoch), rel=1e-5), epoch


@pytest.mark.parametrize("method", CHAINS)
@pytest.mark.parametrize("preset", ["demo", "smoke"])
def test_small_presets_keep_images_optimiser_and_rates(method, preset):
    found, paper = published(method, "synthetic", preset=preset), published(method, "sysu")
    kept = ("resize", "pad_value", "erase_modalities", "optimizer", "learning_rate", "trunk_lr_multiplier")
    assert {name: found[name] for name in kept} == {name: paper[name] for name in kept}
    assert (found["image_height"], found["image_width"], found["backbone"]) == (96, 48, "resnet10")
    validate(from_flat(found | {"mode": "finetune", "method": method}))
