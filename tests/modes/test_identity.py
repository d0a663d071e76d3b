"""What a run is, and how it differs from its method as published."""

import pytest

from mmgl_tf.flags.config import from_flat, recorded
from mmgl_tf.flags.resolution import resolve
from mmgl_tf.modes.identity import departures, described


def run(mode="pretrain", **typed):
    return recorded(from_flat(resolve(mode, typed) | {"mode": mode}))


def words(**typed):
    return described(run(**typed))


def test_what_a_run_is_is_said_once_and_whether_it_knew_people():
    assert words(method="mmgl") == "MMGL, no identities"
    assert words(method="mmgl", pcc=False) == "MMGL (as published but for pcc=False), no identities"
    assert words(method="colorization", colorization_rebalance=1.0) == (
        "Colorization (as published but for colorization_rebalance=1.0), no identities"
    )
    assert words(method="supervised") == "Supervised (visible)"
    assert words(method="supervised", supervised_modalities="infrared", unseen_stem="keep") == (
        "Supervised (infrared) (as published but for unseen_stem=keep)"
    )
    assert words(mode="finetune", method="agw") == "AGW"
    assert words(mode="finetune", method="agw", trunk_lr_multiplier=1.0) == (
        "AGW (as published but for trunk_lr_multiplier=1.0)"
    )


@pytest.mark.parametrize("mode", ["pretrain", "finetune"])
@pytest.mark.parametrize(
    "changed",
    [
        {"backbone": "resnet10"},
        {"image_height": 96},
        {"train_ids": "train"},
        {"epochs": 1},
        {"steps_per_epoch": 3},
        {"optimizer": "adam"},
        {"learning_rate": 1e-9},
        {"precision": "bfloat16"},
        {"flip_probability": 0.0},
        {"accumulate": 2},
    ],
    ids=str,
)
def test_whatever_decides_the_weights_is_a_departure(mode, changed):
    method = {"pretrain": "mmgl", "finetune": "agw"}[mode]
    assert departures(run(mode, method=method, **changed)) == changed
    ((name, value),) = changed.items()
    assert f"(as published but for {name}={value})" in described(run(mode, method=method, **changed))


def test_what_is_of_one_kind_of_training_is_a_departure_there():
    assert departures(run(method="mmgl", share_permutation=False)) == {"share_permutation": False}
    assert departures(run(method="mmgl", batch_size=2)) == {"batch_size": 2}
    assert departures(run("finetune", method="agw", nesterov=False)) == {"nesterov": False}
    assert departures(run("finetune", method="agw", identities_per_batch=4)) == {"identities_per_batch": 4}


@pytest.mark.parametrize(
    "changed",
    [
        {"seed": 7},
        {"dataset": "regdb", "trial": 3},
        {"world_seed": 1},
        {"deterministic": False, "strategy": "mirrored", "jit_compile": "on"},
        {"log_every_steps": 1, "flip": True},
        {"workdir": "elsewhere", "cache": False, "data_threads": 3},
    ],
    ids=str,
)
def test_seed_data_devices_and_what_only_watches_are_none(changed):
    for mode, method in (("pretrain", "mmgl"), ("pretrain", "byol"), ("finetune", "agw")):
        assert departures(run(mode, method=method, **changed)) == {}
    watching = {"validation_images": 9, "probe_images": 20, "validation_permutations": 3}
    assert departures(run(method="mmgl", **watching)) == {}
    assert departures(run("finetune", method="agw", init="runs/pre", init_weights="last")) == {}
    assert departures(run("finetune", method="agw", retrieval_metric="rank1")) == {}
    assert departures(run("finetune", method="agw", batch_size=8)) == {}, "of its evaluation alone"


def test_a_preset_and_a_recipe_stand_for_what_they_mean():
    assert words(method="mmgl", preset="demo") == "MMGL (as published but for preset demo), no identities"
    assert words(method="mmgl", preset="demo", pcc=False) == (
        "MMGL (as published but for preset demo, pcc=False), no identities"
    )
    assert words(method="byol", recipe="native") == (
        "BYOL (as published but for recipe native), no identities"
    )
    assert words(mode="finetune", method="two_stream", preset="demo") == (
        "Two-Stream (as published but for preset demo)"
    )
    assert departures(run(method="byol", recipe="native"))["optimizer"] == "lars"
    # Labels that only choose the epoch are said to be read.
    assert words(method="mmgl", select_by="mAP") == (
        "MMGL (as published but for select_by=mAP), identities choose its best epoch alone"
    )
    # A preset all of whose settings were typed over is the paper's.
    assert described(run(method="mmgl") | {"preset": "demo"}) == "MMGL, no identities"


def test_much_that_differs_is_said_shortly():
    many = {
        "share_permutation": False,
        "augmix_modalities": "none",
        "erase_modalities": "none",
        "epochs": 1,
        "image_height": 96,
        "image_width": 48,
        "batch_size": 2,
    }
    found = departures(run(method="mmgl", **many))
    assert found == many
    assert words(method="mmgl", **many) == (
        "MMGL (as published but for image_height=96, image_width=48, augmix_modalities=none and 4 more), "
        "no identities"
    )


def test_settings_that_an_older_run_did_not_know_are_none():
    old = {name: value for name, value in run(method="mmgl").items() if name not in ("recipe", "adam_beta_2")}
    assert departures(old) == {} and described(old) == "MMGL, no identities"


def test_of_an_import_only_what_is_built_in_is_known():
    found = recorded(from_flat({"mode": "import", "method": "agw", "gem_power": 2.0, "epochs": 3}))
    assert departures(found) == {"gem_power": 2.0}
    assert departures({"mode": "import", "method": ""}) == {}
