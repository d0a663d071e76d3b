"""Arms -> runs: what is shared, what is not, what each command says, and how long an equal-compute arm is."""

import json
import math

import pytest

from experiments.catalogue import EXPERIMENTS, IMAGENET
from experiments.cell import Arm, Experiment, cells_of, stages_of
from experiments.equal_compute import training_images, with_pretraining_time
from experiments.results import Selection
from experiments.settings import as_words, deciding, outdated, parse, resolved
from mmgl_tf.flags.methods import METHODS
from mmgl_tf.pipelines.batches.identity_sampling import steps_in_identity_epoch
from mmgl_tf.pipelines.batches.sampling import steps_in_epoch
from mmgl_tf.pipelines.synthetic.layouts import images_of, split_identities
from mmgl_tf.pipelines.synthetic.spec import WorldSpec


def directories(arm, seed=0, preset="demo", extra=(), root="R"):
    return [stage.directory.as_posix() for stage in stages_of(arm, seed, preset, dict(extra), root)]


def test_an_arm_is_pretraining_then_fine_tuning_then_evaluation():
    before, fine, evaluation = stages_of(Arm("x", {"nce_tau": 0.1}, {"method": "agw"}), 3, "demo", {}, "R")
    assert before.directory.name.startswith("pretrain-demo-nce_tau_0.1-")
    assert all(
        stage.directory.as_posix().split("/")[1].endswith("-seed3") for stage in (before, fine, evaluation)
    )
    assert before.words == (
        "--mode=pretrain",
        "--preset=demo",
        "--seed=3",
        f"--workdir={before.directory}",
        "--nce_tau=0.1",
    )
    assert fine.words[:3] == ("--mode=finetune", "--preset=demo", "--seed=3")
    assert f"--init={before.directory}" in fine.words and "--method=agw" in fine.words
    assert "--nce_tau=0.1" not in fine.words
    assert evaluation.words == ("--mode=eval", f"--init={fine.directory}", "--nopictures")
    assert (before.needs, fine.needs, evaluation.needs) == (None, before, fine)
    assert evaluation.directory == fine.directory / "eval"


def test_a_random_start_needs_no_pretraining():
    fine, evaluation = stages_of(Arm("x"), 0, "demo", {}, "R")
    assert "--init=random" in fine.words and fine.needs is None and evaluation.needs == fine


def test_what_the_preset_says_anyway_and_what_changes_no_weight_shares_a_run():
    plain = directories(Arm("x", {}))
    assert plain == directories(Arm("y", {"nce_tau": 0.07, "pcb_shared": True}, {"method": "two_stream"}))
    assert plain == directories(Arm("y", {"pcc_weight": 0.2}), extra={"log_every_steps": 7})
    assert directories(Arm("x", {"pcc_weight": 1})) == directories(Arm("y", {"pcc_weight": 1.0}))


@pytest.mark.parametrize(
    "other",
    [
        directories(Arm("x", {"nce_tau": 0.1})),
        directories(Arm("x", {"pcc": False})),
        directories(Arm("x", {}), seed=1),
        directories(Arm("x", {}), preset="smoke"),
        directories(Arm("x", {}), extra={"world_seed": 1}),
        directories(Arm("x", {}), root="S"),
    ],
)
def test_another_pretraining_is_another_run_and_so_is_what_starts_from_it(other):
    assert not set(other) & set(directories(Arm("x", {})))


def test_another_fine_tuning_shares_the_pretraining_only():
    plain, other = directories(Arm("x", {})), directories(Arm("x", {}, {"trunk_lr_multiplier": 0.1}))
    assert plain[0] == other[0] and not set(plain[1:]) & set(other[1:])
    assert not set(directories(Arm("x"))) & set(plain)


def test_an_arms_own_flags_win_over_those_for_every_run():
    before, fine, evaluation = stages_of(
        Arm("x", {"epochs": 5}), 0, "demo", {"epochs": 7, "world_seed": 2}, "R"
    )
    assert "--epochs=5" in before.words and "--epochs=7" in fine.words
    own = stages_of(Arm("x", {}, {"epochs": 5}), 0, "demo", {"epochs": 7}, "R")
    assert "--epochs=7" in own[0].words and "--epochs=5" in own[1].words
    assert all("--world_seed=2" in stage.words for stage in (before, fine, evaluation))


def test_flags_for_every_run_reach_those_that_they_do_something_in():
    extra = {"recipe": "native", "augmix_severity": 2.0, "view_blur_1": 0.3, "epoch_by": "min", "flip": True}
    extra |= {"nce_tau": 0.1}
    before, fine, evaluation = stages_of(Arm("x", {"method": "byol"}), 0, "demo", extra, "R")

    def given(stage):
        return {word.lstrip("-").split("=")[0] for word in stage.words} & set(extra)

    assert given(before) == {"recipe", "view_blur_1", "epoch_by", "flip"}
    assert given(fine) == {"flip"}, "two_stream has no native recipe, and no AugMix in the demo"
    assert given(evaluation) == {"flip"}
    before = stages_of(Arm("x", {}), 0, "demo", extra, "R")[0]
    assert given(before) == {"augmix_severity", "epoch_by", "flip", "nce_tau"}
    assert given(stages_of(Arm("x", untrained="hog"), 0, "demo", extra, "R")[0]) == {"flip"}


def test_settings_that_cannot_work_are_refused_before_anything_runs():
    with pytest.raises(ValueError, match="unknown settings nce_taw"):
        directories(Arm("x", {"nce_taw": 1.0}))
    with pytest.raises(ValueError, match="num_stripes=9 does not divide"):
        directories(Arm("x", {"num_stripes": 9}))
    with pytest.raises(ValueError, match="trunk_lr_multiplier"):
        directories(Arm("x", {}, {"trunk_lr_multiplier": -1.0}))


def test_at_most_the_experiments_own_number_of_seeds():
    one = Experiment("", (Arm("x"), Arm("y", {})), max_seeds=1)
    assert [(cell.arm.name, cell.seed) for cell in cells_of(one, range(3), "demo", {}, "R")] == [
        ("x", 0),
        ("y", 0),
    ]


def test_a_supervised_row_says_whose_images_it_was_trained_on():
    names = [arm.name for arm in EXPERIMENTS["table4"].arms]
    assert {"Supervised (visible)", "Supervised (visible), two_stream", "MMGL"} <= set(names)
    assert "Supervised" not in names
    notes = {arm.name: arm.note for arm in EXPERIMENTS["table4"].arms}
    assert notes["Supervised (visible)"] == METHODS["supervised"].NOTE
    assert notes["PSL-style, two_stream"] == METHODS["psl"].NOTE and not notes["BYOL"]


def test_flags_as_typed():
    assert parse('--world_seed=1 --nopcc --pcb_bn --nce_tau=.5 --data_dir="a b"') == {
        "world_seed": 1,
        "pcc": False,
        "pcb_bn": True,
        "nce_tau": 0.5,
        "data_dir": "a b",
    }
    assert parse("--pcc=false --part=True") == {"pcc": False, "part": True}
    assert as_words({"pcc": False, "part": True, "nce_tau": 0.5}) == ("--nce_tau=0.5", "--part", "--nopcc")
    assert parse("") == {}


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("world_seed=1", "every setting is written as --name=value"),
        ("--world_sed=1", "Unknown command line flag 'world_sed'"),
        ("--world_seed=one", "expected a whole number"),
        ("--world_seed", "Missing value"),
        ("--pcc=perhaps", "perhaps"),
        ("--perm_loss=rang", "matrix"),
        ("'--world_seed=1", "quotation"),
    ],
)
def test_flags_are_refused_as_on_the_programs_own_command_line(wrong, said):
    with pytest.raises(ValueError, match="--flags=") as caught:
        parse(wrong)
    assert said in str(caught.value)
    assert wrong.strip("-'").split("=")[0] in str(caught.value)


def test_deciding_flags_are_those_that_differ_from_the_preset_of_the_mode():
    assert deciding("finetune", "demo", {"epochs": 10, "cache_dir": "x"}) == {}
    assert deciding("pretrain", "demo", {"epochs": 10}) == {"epochs": 10}


def test_a_run_made_under_other_defaults_is_noticed(tmp_path):
    before, fine, _ = stages_of(Arm("x", {"pcc_weight": 0.5}), 2, "demo", {}, tmp_path)
    for stage in (before, fine):
        assert outdated(stage) == []
        stage.directory.mkdir()
        config = resolved(
            stage.mode, "demo", stage.flags | {"mode": stage.mode, "seed": 2, "workdir": "anywhere"}
        )
        config["init"] = "elsewhere/the same run"
        del config["pcc_symmetric"]  # a setting that came later
        (stage.directory / "config.json").write_text(json.dumps(config))
        assert outdated(stage) == []
        config["weight_decay"] = 0.123
        (stage.directory / "config.json").write_text(json.dumps(config))
        assert outdated(stage) == [("weight_decay", 0.123, 5e-4)]


def test_equal_compute_in_the_demo():
    # 12 epochs of 100 steps of 96 images; an epoch of fine-tuning is 151 steps of 64: 11.92 of them.
    assert with_pretraining_time("demo", {}, {}) == {"epochs": 10 + 12}
    assert with_pretraining_time("demo", {"epochs": 6}, {"epochs": 3}) == {"epochs": 3 + 6}
    steps = {"lr_schedule": "step", "lr_milestones": "5,8"}
    assert with_pretraining_time("demo", {}, steps) == {"epochs": 22, "lr_milestones": "11,18"}
    fine = stages_of(Arm("x", spends={}), 0, "demo", {"steps_per_epoch": 30}, "R")[0]
    # 12 x 30 x 96 images are 540 steps of 64, 18 epochs of 30.
    assert "--epochs=28" in fine.words


def test_images_and_steps_are_counted_as_the_pipeline_counts_them():
    flags = {
        "world_train_identities": 77,
        "world_validation_identities": 9,
        "world_frames": 3,
        "batch_size": 40,
    }
    spec = WorldSpec(train_identities=77, validation_identities=9, frames=3)
    for train_ids, splits in (("train", ("train",)), ("trainval", ("train", "val"))):
        cameras = [
            camera
            for split in splits
            for identity in split_identities(spec)[split]
            for _, camera, _ in images_of(spec, identity, split == "train")
        ]
        infrared = sum(camera in (3, 6) for camera in cameras)
        visible = len(cameras) - infrared
        chosen = flags | {"train_ids": train_ids}
        assert training_images(resolved("pretrain", "demo", chosen)) == (visible, infrared)
        images = 12 * steps_in_epoch(visible, infrared, 40) * 80
        epoch = steps_in_identity_epoch(visible, infrared, 8, 4) * 64
        assert with_pretraining_time("demo", chosen, chosen) == {"epochs": 10 + math.ceil(images / epoch)}


def test_a_data_set_of_unknown_size_is_refused_unless_steps_are_given():
    with pytest.raises(ValueError, match="steps_per_epoch"):
        with_pretraining_time("demo", {"dataset": "folder"}, {"dataset": "folder"})
    folder = {"dataset": "folder", "steps_per_epoch": 10}
    assert with_pretraining_time("demo", folder, folder) == {"epochs": 10 + 18}
    assert training_images(resolved("pretrain", "paper", {"dataset": "sysu"})) == (22258, 11909)


@pytest.mark.parametrize("name", sorted(EXPERIMENTS))
def test_every_experiment_can_start_and_compares_arms_that_it_has(name):
    experiment = EXPERIMENTS[name].with_starts({IMAGENET: ""})
    names = [arm.name for arm in EXPERIMENTS[name].arms]
    assert len(set(names)) == len(names)
    shown = {Selection(**evaluation).setting for evaluation in experiment.evaluations}
    for arm in experiment.arms:
        assert experiment.partner_of(arm) in ("", *names)
        assert set(arm.paper) <= {"all", "indoor"} | shown
    cells = cells_of(experiment, range(2), "demo", {}, "R")
    assert len({cell.run for cell in cells}) == len(cells), "two arms are the same run"


def test_pccs_partners_have_the_same_head():
    arms = {arm.name: arm for arm in EXPERIMENTS["heads"].arms}
    pairs = [(arm, arms[arm.partner]) for arm in arms.values() if arm.partner]
    assert len(pairs) == 4
    for arm, partner in pairs:
        assert partner.pretrain == dict(arm.pretrain) | {"pcc": False}
    negatives = EXPERIMENTS["negatives"]
    assert {negatives.partner_of(arm) for arm in negatives.arms[1:]} == {"no PCC"}


def test_experiments_share_what_they_have_in_common():
    def runs(name):
        cells = cells_of(EXPERIMENTS[name], [0], "demo", {}, "R")
        return {stage.directory for cell in cells for stage in cell.stages}

    assert runs("main") < runs("demo") and len(runs("demo") - runs("main")) == 2  # chance, HOG
    # MMGL and its partner without PCC; the short schedules share nothing with the long ones.
    assert len(runs("table5") & runs("heads")) == 6 == len(runs("negatives") & runs("heads"))
    assert len(runs("attempts") & runs("table5")) == 6 and not runs("table5") & runs("main")
    for name in ("table6", "table7", "table8", "perm_loss"):
        assert len(runs(name) & runs("table5")) == 3


def test_an_arm_without_training_is_one_evaluation_for_all_seeds():
    experiment = Experiment("", (Arm("HOG", untrained="hog"),))
    cells = cells_of(experiment, [0, 1], "demo", {"dataset": "sysu", "data_dir": "d"}, "R")
    (stage,) = {stage for cell in cells for stage in cell.stages}
    assert stage.mode == "eval" and stage.needs is None and stage.directory.name == "eval"
    assert stage.words[:3] == ("--mode=eval", "--init=hog", "--preset=demo")
    assert {"--dataset=sysu", "--data_dir=d", f"--workdir={stage.directory / 'sysu'}"} <= set(stage.words)
    assert cells[0].run == stage.directory.parent


def test_a_one_stream_fine_tuning_on_disk_is_not_taken_for_another():
    """main.py writes the method's stream into config.json, whatever the default of --stream."""
    assert resolved("finetune", "demo", {"method": "one_stream"})["stream"] == "one"
    assert resolved("finetune", "demo", {"method": "agw"})["stream"] == "two"
    assert resolved("pretrain", "demo", {"stream": "one"})["stream"] == "one"
