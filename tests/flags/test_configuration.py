import json
import subprocess
import sys
from pathlib import Path

import pytest

from mmgl_tf.flags.config import (
    OF_METHODS,
    differences,
    from_flat,
    recorded,
    settings,
    to_flat,
    unread,
)
from mmgl_tf.flags.methods import METHODS
from mmgl_tf.flags.presets import FINETUNE_PRESETS, PRESETS
from mmgl_tf.flags.resolution import resolve as settle
from mmgl_tf.flags.validation import validate

ROOT = Path(__file__).parents[2]


def resolve(*words):
    """The configurations that a command line gives, through a fresh process, since absl flags are global."""
    program = (
        "import sys, json; from mmgl_tf.flags.definitions import *; "
        "from mmgl_tf.flags.config import to_flat; define_flags(); "
        "parse_command_line(['main.py', *sys.argv[1:]]); "
        "print(json.dumps([to_flat(config) for config in read_configs()]))"
    )
    done = subprocess.run([sys.executable, "-c", program, *words], cwd=ROOT, capture_output=True, text=True)
    return done, json.loads(done.stdout) if done.returncode == 0 else [None]


def test_defaults_are_the_papers_configuration():
    config = from_flat({})
    assert (config.data.image_height, config.data.image_width) == (288, 144)
    assert (config.optimization.batch_size, config.optimization.epochs) == (48, 100)
    assert (config.mmgl.num_stripes, config.mmgl.nce_tau, config.mmgl.pcc_weight) == (6, 0.07, 0.2)
    assert (config.mmgl.sinkhorn_iters, config.mmgl.gumbel_samples) == (20, 10)
    assert (config.optimization.momentum, config.optimization.weight_decay) == (0.9, 5e-4)
    assert config.network.backbone == "resnet50"
    validate(config)


def test_every_setting_has_its_own_name_and_text():
    names = [entry.name for _, entry in settings()]
    assert len(names) == len(set(names))
    assert all(entry.metadata["help"] for _, entry in settings())


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_name_settings_and_are_valid(preset):
    validate(from_flat(PRESETS[preset]))
    validate(from_flat(FINETUNE_PRESETS[preset]))


def test_flat_and_nested_are_inverse():
    values = to_flat(from_flat({"epochs": 7, "nce_tau": 0.1}))
    assert values["epochs"] == 7
    assert to_flat(from_flat(values)) == values


def test_an_explicit_flag_wins_over_the_preset_and_the_preset_over_the_default():
    _, (values,) = resolve("--mode=pretrain", "--preset=smoke", "--epochs=5")
    assert values["epochs"] == 5
    assert values["steps_per_epoch"] == PRESETS["smoke"]["steps_per_epoch"]
    assert values["learning_rate"] == 0.1
    assert values["workdir"] == "runs/pretrain-synthetic-smoke"


def test_fine_tuning_has_the_baselines_recipe_and_its_own_directory():
    _, (values,) = resolve("--mode=finetune", "--dataset=sysu", "--init=somewhere")
    assert (values["epochs"], values["lr_schedule"], values["lr_milestones"]) == (81, "step", "20,50")
    assert values["nesterov"] and values["trunk_lr_multiplier"] == 0.1
    assert values["augmix_modalities"] == values["erase_modalities"] == "none"
    assert values["workdir"] == "runs/finetune-sysu-agw-weights-paper"
    _, (values,) = resolve("--mode=finetune", "--preset=demo")
    assert (values["method"], values["workdir"]) == (
        "two_stream",
        "runs/finetune-synthetic-two_stream-random-demo",
    )


def test_the_stems_in_config_json_are_those_of_the_method():
    for method, stream in (("one_stream", "one"), ("two_stream", "two"), ("agw", "two")):
        for typed in ((), (f"--stream={stream}",)):
            _, (values,) = resolve("--mode=finetune", "--preset=demo", f"--method={method}", *typed)
            assert values["stream"] == stream
    done, _ = resolve("--mode=finetune", "--method=one_stream", "--stream=two")
    assert "--stream=two: --method=one_stream has --stream=one; leave it out" in done.stderr


@pytest.fixture
def past_run(tmp_path):
    run = tmp_path / "run-3"
    run.mkdir()
    saved = to_flat(
        from_flat(
            {"mode": "finetune", "method": "agw", "backbone": "resnet18", "epochs": 70, "dataset": "regdb"}
        )
    )
    saved |= {"init": "elsewhere", "a_setting_of_another_version": 1}
    (run / "config.json").write_text(json.dumps(saved))
    return run


def test_eval_begins_with_the_settings_of_the_run_it_looks_at(past_run):
    _, (values,) = resolve("--mode=eval", f"--init={past_run}", "--flip")
    assert (values["method"], values["backbone"], values["epochs"]) == ("agw", "resnet18", 70)
    assert values["mode"] == "eval" and values["flip"] and values["init"] == str(past_run)
    assert values["workdir"] == str(past_run / "eval" / "regdb-trial1-flip")
    _, (values,) = resolve("--mode=eval", f"--init={past_run}", "--dataset=sysu")
    assert values["workdir"] == str(past_run / "eval" / "sysu")


def test_a_run_is_evaluated_as_its_methods_authors_do(tmp_path):
    """CAJ's average mirror images; that is its usual evaluation, and to leave it out is another one."""
    run = tmp_path / "run"
    run.mkdir()
    saved = settle("finetune", {"method": "caj", "dataset": "regdb"}) | {"mode": "finetune"}
    (run / "config.json").write_text(json.dumps(recorded(from_flat(saved))))
    for typed, flip, name in (((), True, "regdb-trial1"), (("--noflip",), False, "regdb-trial1-noflip")):
        _, (values,) = resolve("--mode=eval", f"--init={run}", *typed)
        assert values["flip"] is flip and values["workdir"] == str(run / "eval" / name)


@pytest.mark.parametrize("init", ["{run}", "hog"])
def test_evaluations_with_different_options_are_in_different_directories(past_run, init):
    options = (
        (),
        ("--flip",),
        ("--rerank",),
        ("--flip", "--rerank"),
        ("--gallery_draw=official",),
        ("--count_identities=never",),
        ("--trials=3",),
    )
    init = init.format(run=past_run)
    places = [resolve("--mode=eval", f"--init={init}", *words)[1][0]["workdir"] for words in options]
    assert len(set(places)) == len(options)
    pictures = resolve("--mode=eval", f"--init={init}", "--nopictures", "--shown_queries=3")[1][0]["workdir"]
    assert pictures == places[0], "what decides no figure does not count"


def test_several_runs_and_trials_are_several_configurations(past_run):
    for trial in range(1, 11):
        other = past_run.with_name(f"run-{trial}")
        other.mkdir(exist_ok=True)
        (other / "config.json").write_text((past_run / "config.json").read_text())
    pattern = str(past_run.with_name("run-{trial}"))
    _, configs = resolve("--mode=eval", f"--init={pattern}")
    assert [values["init"] for values in configs] == [
        pattern.replace("{trial}", str(t)) for t in range(1, 11)
    ]
    assert len({values["workdir"] for values in configs}) == 10
    _, configs = resolve("--mode=eval", f"--init={pattern}", "--workdir=there")
    assert len({values["workdir"] for values in configs}) == 10
    assert all(Path(values["workdir"]).parent == Path("there") for values in configs)
    _, configs = resolve("--mode=visualize", f"--init={past_run}, {past_run}", "--workdir=there")
    assert [values["workdir"] for values in configs] == ["there", "there"]


def test_a_run_to_look_at_must_exist_and_its_network_cannot_be_changed(past_run):
    done, _ = resolve("--mode=eval", "--init=nowhere")
    assert "nowhere is no run to look at" in done.stderr
    for mode, init in (("eval", ""), ("visualize", " ,")):
        done, _ = resolve(f"--mode={mode}", f"--init={init}")
        assert (
            f"--mode={mode} with --init={init}: expected --init=RUN, the directory of an earlier run"
            in done.stderr
        )
    done, _ = resolve("--mode=eval", f"--init={past_run}", "--backbone=resnet50")
    assert "was trained with --backbone=resnet18" in done.stderr


def test_unknown_flag_and_stray_word_are_named():
    done, _ = resolve("--mode=pretrain", "--epoch=5")
    assert done.returncode == 2
    assert "epoch" in done.stderr and "Traceback" not in done.stderr
    done, _ = resolve("--mode=pretrain", "stray")
    assert done.returncode == 2 and "stray" in done.stderr


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"batch_size": 0}, "smallest allowed value is 1"),
        ({"trial": 11}, "largest allowed value is 10"),
        ({"learning_rate": float("nan")}, "finite"),
        ({"backbone": "vgg"}, "expected one of"),
        ({"num_stripes": 5}, "use one of 2, 3, 6, 9, 18"),
        ({"image_height": 290}, "multiples of 16"),
        ({"erase_min_area": 0.5}, "erase_max_area"),
        ({"permutation": False, "part": False, "pcc": False}, "no loss"),
        ({"epochs": 5}, "warmup_epochs"),
        ({"lr_milestones": "50,20"}, "ascending"),
        ({"lr_milestones": "20;50"}, "ascending"),
        ({"num_stripes": 9, "jit_compile": "on"}, "SciPy"),
        ({"jit_compile": "on"}, "--nodeterministic"),
        ({"strategy": "mirrored", "jit_compile": "on"}, "replicated"),
        ({"accumulate": 2, "jit_compile": "on"}, "one of the two"),
        ({"accumulate": 5, "mode": "pretrain"}, "48 images per modality"),
        ({"accumulate": 5, "mode": "finetune"}, "32 images per modality"),
        ({"accumulate": 0}, "smallest allowed value is 1"),
    ],
)
def test_bad_settings_are_refused_by_name(changes, word):
    with pytest.raises(ValueError, match="these settings cannot work") as error:
        validate(from_flat({"mode": "pretrain", "method": "mmgl"} | changes))
    assert word in str(error.value)
    assert f"--{next(iter(changes))}".replace("--permutation", "permutation") in str(error.value)


@pytest.mark.parametrize(
    "changes",
    [
        {"num_stripes": 5},
        {"permutation": False, "part": False, "pcc": False},
        {"num_stripes": 9, "jit_compile": "on", "deterministic": False},
    ],
)
@pytest.mark.parametrize("mode", ["finetune", "eval", "visualize"])
def test_what_only_pre_training_has_does_not_stop_the_other_modes(mode, changes):
    validate(from_flat(changes | {"mode": mode}))
    with pytest.raises(ValueError, match="these settings cannot work"):
        validate(from_flat(changes | {"mode": "pretrain", "method": "mmgl"}))


@pytest.mark.parametrize("mode", ["eval", "export", "embed", "check_data"])
def test_only_training_takes_a_strategy(mode):
    for strategy in ("mirrored", "multi_worker"):
        validate(from_flat({"mode": "pretrain", "strategy": strategy}))
        validate(from_flat({"mode": "finetune", "strategy": strategy}))
        with pytest.raises(ValueError, match=f"--strategy={strategy} with --mode={mode}: only pretrain and"):
            validate(from_flat({"mode": mode, "strategy": strategy}))
    # Of a run that is looked at, say.
    validate(from_flat({"mode": mode, "jit_compile": "on", "accumulate": 7, "deterministic": True}))


def test_milestones_may_be_none():
    validate(from_flat({"lr_milestones": ""}))
    for wrong in (",", "20,", "20,x"):
        with pytest.raises(ValueError, match="--lr_milestones"):
            validate(from_flat({"lr_milestones": wrong}))


def test_differences_leave_out_what_does_not_decide_the_result():
    old, new = to_flat(from_flat({})), to_flat(from_flat({"data_threads": 3, "seed": 4}))
    assert differences(old, new) == [("seed", 0, 4)]
    earlier = {name: value for name, value in old.items() if name not in ("accumulate", "sync_batch_norm")}
    assert differences(earlier, new) == [("seed", 0, 4)], "an earlier version had not these settings"
    assert differences(earlier, new | {"accumulate": 2})[1] == ("accumulate", 1, 2)
    old, new = (
        {"mode": "finetune"} | to_flat(from_flat({"mode": "finetune"} | c)) for c in ({}, {"pcb_bn": False})
    )
    assert not differences(old, new), "fine-tuning has no stripe head"
    assert differences(old | {"mode": "pretrain"}, new | {"mode": "pretrain"}) == [("pcb_bn", True, False)]


def test_help_page_shows_every_flag_with_the_papers_value():
    done = subprocess.run(
        [sys.executable, "main.py", "--helpshort"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    foreign = unread("", "mmgl") & unread("", "agw") & set(OF_METHODS)
    for group, entry in settings():
        assert (f"--{entry.name}=" in done.stdout) == (group not in foreign), entry.name
    others = ", ".join(name for name in METHODS if name not in ("mmgl", "agw"))
    assert f"--method=NAME --helpshort, of {others}" in " ".join(done.stdout.split())
    assert "paper: 0.07" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 118


def test_program_alone_says_what_to_type():
    done = subprocess.run([sys.executable, "main.py"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    assert "python main.py --mode=pretrain" in done.stdout


def test_an_import_without_a_data_set_is_not_evaluated_on_the_default_one(tmp_path):
    (tmp_path / "config.json").write_text('{"mode": "import", "backbone": "resnet18"}')
    done, _ = resolve("--mode=eval", f"--init={tmp_path}")
    assert "names no data set; give --dataset and --data_dir" in done.stderr
    done, configs = resolve("--mode=eval", f"--init={tmp_path}", "--dataset=sysu")
    assert configs[0]["dataset"] == "sysu"


def test_what_is_no_run_is_said_without_error_numbers(tmp_path):
    file = tmp_path / "encoder_best.weights.h5"
    file.write_bytes(b"weights")
    done, _ = resolve("--mode=embed", f"--init={file}", "--images=x")
    assert "it is no directory. Give the --workdir of an earlier run, or an exported model" in done.stderr
    done, _ = resolve("--mode=eval", f"--init={tmp_path}")
    assert "it holds no config.json. Give the --workdir of an earlier run." in done.stderr
    assert "Errno" not in done.stderr.splitlines()[-1]
