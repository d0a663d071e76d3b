"""A flag that would do nothing is refused, and decides about no resume."""

import json

import pytest

from mmgl_tf.flags.config import (
    GROUPS,
    differences,
    from_flat,
    options,
    recorded,
    settings,
    to_flat,
    unread_settings,
)
from mmgl_tf.flags.methods import FINETUNING, METHODS, PRETRAINING, SHARED
from mmgl_tf.flags.reading import configs_of
from mmgl_tf.flags.resolution import resolve
from mmgl_tf.flags.validation import validate
from mmgl_tf.pretraining.monitor.collapse import RANK, RULES


def refusal(**typed):
    """What a command line is refused with."""
    with pytest.raises(ValueError, match="--") as error:
        configs_of(typed)
    return str(error.value)


@pytest.mark.parametrize(
    ("method", "name", "value"),
    [
        ("simclr", "augmix_severity", 2.0),
        ("simclr", "erase_probability", 0.1),
        ("simclr", "pad_pixels", 2),
        ("simclr", "flip_probability", 0.1),
        ("simclr", "share_permutation", False),
        ("simclr", "validation_permutations", 2),
        ("simclr", "view_blur_1", 0.1),
        ("byol", "view_blur", 0.1),
        ("byol", "init", "somewhere"),
        ("byol", "retrieval_metric", "rank1"),
        ("jigsaw", "pad_pixels", 2),
        ("jigsaw", "share_permutation", False),
        ("colorization", "augmix_severity", 2.0),
        ("supervised", "validation_permutations", 2),
        ("agw", "validation_permutations", 2),
        ("agw", "epoch_by", "min"),
        ("agw", "share_permutation", False),
    ],
)
def test_what_a_method_does_not_read_is_refused_and_blocks_no_resume(method, name, value):
    mode = "pretrain" if method in PRETRAINING else "finetune"
    told = refusal(mode=mode, method=method, **{name: value})
    assert told.startswith(f"--{name} is a setting of ") and "does not read" in told
    old, new = (to_flat(from_flat({"mode": mode, "method": method} | c)) for c in ({}, {name: value}))
    assert differences(old, new) == []
    assert name not in recorded(from_flat(new))


def test_who_reads_a_refused_setting_is_told():
    told = refusal(mode="pretrain", method="simclr", validation_permutations=2)
    assert "is a setting of mmgl, jigsaw, psl; --method=simclr does not read it" in told
    told = refusal(mode="pretrain", method="byol", init="RUN")
    assert "--init is a setting of --mode=finetune, which --mode=pretrain does not read; leave it out" in told


@pytest.fixture
def run(tmp_path):
    """The directory of an MMGL pre-training."""
    saved = resolve("pretrain", {"preset": "demo"}) | {"mode": "pretrain", "preset": "demo"}
    (tmp_path / "config.json").write_text(json.dumps(recorded(from_flat(saved))))
    return str(tmp_path)


@pytest.mark.parametrize("mode", ["eval", "visualize", "export", "serve_check", "embed"])
def test_a_look_at_a_run_takes_no_settings_of_training(run, mode):
    for name, value in (("byol_momentum", 0.5), ("unseen_stem", "keep"), ("init_weights", "last")):
        told = refusal(mode=mode, init=run, **{name: value})
        assert f"--{name}" in told and "leave it out" in told
    for name, value in (("num_stripes", 3), ("recipe", "native"), ("part_embedding_size", 7)):
        told = refusal(mode=mode, init=run, **{name: value})
        assert f"--{name}={value}, but {run} was trained with --{name}=" in told
    configs_of({"mode": mode, "init": run, "num_stripes": 6, "method": "mmgl", "batch_size": 8})


def test_modes_without_a_run_take_no_settings_of_training():
    told = refusal(mode="eval", init="chance", simclr_temperature=0.1)
    assert "--simclr_temperature is a setting of training, which --mode=eval does not read" in told
    for typed in ({"num_stripes": 3}, {"recipe": "native"}, {"method": "byol"}, {"stem_from": "mean"}):
        assert "which --mode=synthesize does not read" in refusal(mode="synthesize", **typed)
    (config,) = configs_of({"mode": "import", "checkpoint": "x.pth", "gem_power": 2.0})
    assert config.agw_network.gem_power == 2.0, "an imported network has it"


@pytest.mark.parametrize("method", [name for name in METHODS if not hasattr(METHODS[name], "RECIPES")])
def test_a_method_without_a_recipe_of_its_own_is_not_trained_by_it(method):
    mode = "pretrain" if method in PRETRAINING else "finetune"
    told = refusal(mode=mode, method=method, recipe="native")
    assert f"--recipe=native: --method={method} has no such recipe" in told
    assert "choose one of simclr, swav, byol" in told
    configs_of({"mode": mode, "method": method, "recipe": "common"})


@pytest.mark.parametrize(
    ("typed", "lacking"),
    [
        ({"rank_scale": "unit"}, "--perm_loss=matrix; leave it out, or give --perm_loss=rank or forward"),
        ({"lr_milestones": "5"}, "--lr_schedule=authors; leave it out, or give --lr_schedule=step"),
        ({"lr_final": 0.1, "lr_schedule": "step"}, "--lr_schedule=step"),
        ({"adam_beta_2": 0.9}, "--optimizer=sgd; leave it out, or give --optimizer=adam"),
        ({"nesterov": True, "optimizer": "lars"}, "--optimizer=lars"),
        ({"swav_adapt_vectors": True, "method": "swav"}, "--optimizer=sgd; leave it out"),
        (
            {"swav_adapt_vectors": True, "method": "swav", "recipe": "native", "optimizer": "adam"},
            "--optimizer=adam",
        ),
        ({"augmix_severity": 2.0, "augmix_modalities": "none"}, "--augmix_modalities=none"),
        ({"erase_min_area": 0.1, "erase_modalities": "none"}, "--erase_modalities=none"),
        ({"pcc_universe": "pair", "pcc_own_set": "part"}, "--pcc_own_set=part"),
        ({"gumbel_samples": 5, "permutation": False}, "--permutation=False"),
        ({"part_ce_input": "post", "part": False}, "--part=False"),
        ({"pcc_centre": "slot", "pcc": False}, "--pcc=False"),
        ({"pcb_relu": True, "pcc": False, "part": False}, "--pcc=False; leave it out, or give --pcc=True"),
        ({"wd_on_bn": True, "method": "byol", "recipe": "native"}, "--optimizer=lars"),
        ({"wd_on_bias": False, "optimizer": "lars"}, "--optimizer=lars; leave it out, or give"),
        (
            {"swav_small_width": 32, "method": "swav", "swav_small_crops": 0},
            "--swav_small_crops=0; leave it out, or give --swav_small_crops=1 or more",
        ),
        ({"swav_queue_start_epoch": 3, "method": "swav", "swav_queue_size": 0}, "--swav_queue_size=0"),
        (
            {"unseen_stem": "keep", "method": "supervised", "supervised_modalities": "both"},
            "--supervised_modalities=both; leave it out, or give --supervised_modalities=visible or infrared",
        ),
        (
            {"unseen_stem_batches": 3, "method": "colorization", "unseen_stem": "keep"},
            "--unseen_stem=keep; leave it out, or give --unseen_stem=copy",
        ),
    ],
)
def test_what_does_nothing_beside_the_others_is_refused(typed, lacking):
    name = next(iter(typed))
    told = refusal(mode="pretrain", **typed)
    assert f"--{name}={typed[name]} does nothing with {lacking}" in told


def test_one_of_several_ways_to_act_is_enough():
    configs_of({"mode": "pretrain", "method": "swav", "recipe": "native", "wd_on_bn": False})
    configs_of({"mode": "pretrain", "pcb_relu": True, "part": False})
    configs_of({"mode": "pretrain", "pcb_relu": True, "pcc": False})


def test_what_does_nothing_in_either_run_blocks_no_resume():
    def changed(common, **settings):
        plain = {"mode": "pretrain", "method": "simclr"} | common
        old, new = (to_flat(from_flat(plain | change)) for change in ({}, settings))
        return [name for name, _, _ in differences(old, new)]

    assert changed({}, lr_milestones="5", adam_beta_2=0.9) == []
    assert changed({"lr_schedule": "step"}, lr_milestones="5") == ["lr_milestones"]
    assert changed({}, lr_milestones="5", lr_schedule="step") == ["lr_schedule", "lr_milestones"]
    assert changed({"optimizer": "adam"}, adam_beta_2=0.9) == ["adam_beta_2"]


def test_a_run_of_an_earlier_version_has_more_settings_and_is_resumed():
    new = recorded(from_flat({"mode": "pretrain", "method": "simclr"}))
    old = new | {"augmix_severity": 1.0, "share_permutation": False, "retrieval_metric": "rank1"}
    old |= {"validation_permutations": 1, "view_blur_1": 0.3, "pad_pixels": 1}
    assert differences(old, new) == []


@pytest.mark.parametrize("method", METHODS)
def test_what_a_method_reads_is_what_it_is_given(method):
    mode = "pretrain" if method in PRETRAINING else "finetune"
    config = from_flat({"mode": mode, "method": method})
    given = set(vars(options(config)))
    assert not given & set(unread_settings(mode, method))
    read = set(to_flat(config)) - set(unread_settings(mode, method))
    of_methods = {name for group in (*SHARED, *METHODS) for name in vars(GROUPS[group]())}
    assert read & of_methods <= given


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        (
            {"method": "swav", "swav_queue_size": 100},
            "expected a multiple of the 96 images of a step; use 96",
        ),
        ({"method": "swav", "swav_queue_size": 90}, "use 96, or 0 for none"),
        ({"method": "swav", "swav_small_height": 24}, "--swav_small_height=24: expected a multiple of 16"),
        ({"method": "swav", "swav_small_width": 17}, "--swav_small_width=17: expected a multiple of 16"),
        ({"method": "swav", "swav_small_min_scale": 0.9}, "larger than --swav_small_max_scale=0.35"),
        (
            {"method": "byol", "view_min_scale": 0.9, "view_max_scale": 0.8},
            "larger than --view_max_scale=0.8",
        ),
        (
            {"method": "swav", "view_min_ratio": 0.9},
            "--view_min_ratio=0.9 is larger than --view_max_ratio=0.65",
        ),
        (
            {"method": "colorization", "colorization_bins": "nofile.npy"},
            "bins=nofile.npy: there is no such file",
        ),
        ({"method": "simclr", "batch_size": 1}, "--batch_size=1: --method=simclr compares the images"),
        ({"method": "byol", "batch_size": 1}, "--batch_size=1: --method=byol compares the images"),
        ({"method": "supervised", "erase_min_area": 0.5}, "is larger than --erase_max_area=0.4"),
        ({"method": "psl", "image_width": 128}, "use multiples of 48"),
    ],
)
def test_what_would_fail_later_is_refused_at_once(typed, words):
    assert words in refusal(mode="pretrain", **typed)
    validate(from_flat(typed | {"mode": "eval"}))


@pytest.mark.parametrize(
    ("method", "name", "wrong", "right", "typed"),
    [
        ("nfs", "nfs_reduction", 7, 8, {"backbone": "resnet50"}),
        ("nfs", "nfs_reduction", 128, 64, {"backbone": "resnet10"}),
        ("ddag", "ddag_parts", 7, 6, {"image_height": 96}),
    ],
)
def test_what_no_feature_map_has_is_refused_before_any_data_is_read(method, name, wrong, right, typed):
    typed = {"mode": "finetune", "method": method} | typed
    assert f"--{name}={wrong}" in refusal(**typed, **{name: wrong})
    configs_of(typed | {name: right})


def test_small_crops_that_are_not_made_may_be_of_any_size():
    validate(
        from_flat({"mode": "pretrain", "method": "swav", "swav_small_crops": 0, "swav_small_height": 24})
    )


@pytest.mark.parametrize("preset", ["paper", "demo", "smoke"])
def test_a_queue_that_is_not_typed_follows_the_batch(preset):
    def queue(**typed):
        (config,) = configs_of({"mode": "pretrain", "method": "swav", "preset": preset} | typed)
        return config.swav.swav_queue_size / config.optimization.batch_size

    assert queue(batch_size=50) == queue() > 0
    assert queue(batch_size=50, swav_queue_size=200) == 4


@pytest.mark.parametrize("method", [*PRETRAINING, *FINETUNING])
@pytest.mark.parametrize("recipe", ["common", "native"])
@pytest.mark.parametrize("preset", ["paper", "demo", "smoke"])
def test_every_preset_and_recipe_of_a_method_can_work(method, recipe, preset):
    mode = "pretrain" if method in PRETRAINING else "finetune"
    if recipe == "common" or hasattr(METHODS[method], "RECIPES"):
        configs_of({"mode": mode, "method": method, "recipe": recipe, "preset": preset})


def test_no_embedding_is_so_small_that_its_rank_means_collapse():
    least = {entry.name: entry.metadata["low"] for _, entry in settings() if "embedding_size" in entry.name}
    (rule,) = [rule for rule in RULES if rule.figure == RANK]
    assert len(least) >= 6 and min(least.values()) >= 2 * rule.alarm
