"""Settings belong to methods: who reads them, who is refused them, and what a run keeps."""

import contextlib
import io
import re

import pytest

from mmgl_tf.flags.config import from_flat, migrated, recorded, settings
from mmgl_tf.flags.definitions import parse_command_line
from mmgl_tf.flags.methods import METHODS, title
from mmgl_tf.flags.resolution import resolve as settle
from mmgl_tf.flags.validation import validate
from mmgl_tf.modes.identity import departures
from tests.flags.test_configuration import resolve


def page_of(*words):
    """The help page that a command line prints, and its exit status."""
    printed, told = io.StringIO(), io.StringIO()
    with (
        contextlib.redirect_stdout(printed),
        contextlib.redirect_stderr(told),
        pytest.raises(SystemExit) as end,
    ):
        parse_command_line(["main.py", *words, "--helpshort"])
    return printed.getvalue() + told.getvalue(), end.value.code


@pytest.mark.parametrize(
    ("words", "shown", "hidden"),
    [
        ("--method=two_stream", "--triplet_margin --init", "--nce_tau --gem_power --epoch_by"),
        ("--method two_stream", "--triplet_margin --init", "--nce_tau --gem_power"),
        ("-method byol", "--byol_momentum --view_blur_1", "--nce_tau --view_blur --init --augmix_width"),
        ("--mode=finetune", "--gem_power --augmix_width", "--nce_tau --triplet_margin"),
        ("--mode=finetune --preset=demo", "--triplet_margin", "--gem_power"),
        ("--mode=pretrain", "--nce_tau --share_permutation", "--gem_power --init --init_weights"),
        ("--mode=eval", "--init --rerank", "--nce_tau --gem_power --init_weights --augmix_width --recipe"),
        ("--mode=import", "--checkpoint --gem_power", "--nce_tau --triplet_margin"),
    ],
)
def test_help_shows_what_is_read(words, shown, hidden):
    page, status = page_of(*words.split())
    assert status == 0
    assert not [name for name in shown.split() if f"  {name}=" not in page]
    assert not [name for name in hidden.split() if f"  {name}=" in page]


def test_help_shows_the_values_of_preset_method_and_recipe():
    page, _ = page_of("--method=byol", "--preset=demo", "--recipe=native", "--mode=pretrain")
    for line in ("optimizer=lars", "byol_hidden_size=512", "image_height=96", "learning_rate=0.16875"):
        assert f"  --{line} " in page
    assert "Below are the flags of --mode=pretrain --method=byol --preset=demo --recipe=native" in page
    page, _ = page_of("--mode=finetune")
    assert "  --lr_schedule=step " in page and "  --epochs=81 " in page


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("--method=nosuch", "--method=nosuch: expected one of mmgl, simclr"),
        ("--mode=train", "--mode=train: expected one of pretrain, finetune"),
        ("--preset=big --method=byol", "--preset=big: expected one of paper, demo, smoke"),
        ("--mode=finetune --method=byol", "it is a method of --mode=pretrain"),
        ("--method=mmgl --recipe=native", "--method=mmgl has no such recipe"),
    ],
)
def test_help_on_what_does_not_exist_is_an_error(words, told):
    page, status = page_of(*words.split())
    assert status == 2 and page.startswith("error: ") and told in page


def test_a_preset_may_differ_between_data_sets(monkeypatch):
    monkeypatch.setattr(METHODS["agw"], "PRESETS", {"paper": {"epochs": 7, "clip_norm": 1.0}}, raising=False)
    own = {"regdb": {"paper": {"epochs": 9, "learning_rate": 0.3}}}
    monkeypatch.setattr(METHODS["agw"], "DATASET_PRESETS", own, raising=False)

    def found(**typed):
        values = settle("finetune", {"method": "agw"} | typed)
        return values["epochs"], values["clip_norm"], values.get("learning_rate")

    assert found() == found(dataset="sysu") == found(dataset="folder") == (7, 1.0, None)
    assert found(dataset="regdb") == found(world_layout="regdb") == (9, 1.0, 0.3)
    assert found(dataset="sysu", world_layout="regdb") == (7, 1.0, None), "it is not drawn"
    assert found(dataset="regdb", epochs=2) == (2, 1.0, 0.3)
    assert settle("finetune", {"method": "agw", "dataset": "regdb", "preset": "demo"})["epochs"] == 10
    for dataset, epochs in (("sysu", 7), ("regdb", 9)):
        run = {"mode": "finetune", "method": "agw", "dataset": dataset}
        assert departures(run | {"epochs": epochs}) == {}
        assert departures(run | {"epochs": 8}) == {"epochs": 8}


def test_help_texts_stand_alone():
    for _, entry in settings():
        about = entry.metadata["help"]
        assert about.count(" ") and "likewise" not in about and not about.endswith("."), entry.name
        assert not re.match(r"(of|over|as|their|its|this) ", about), (
            f"--{entry.name} leans on another: {about}"
        )


def test_a_flag_of_another_method_is_refused():
    done, _ = resolve("--mode=finetune", "--method=two_stream", "--gem_power=2")
    assert "--gem_power is a setting of agw, caj; --method=two_stream does not read it" in done.stderr
    done, _ = resolve("--mode=pretrain", "--method=agw")
    assert "it is a method of --mode=finetune; expected one of mmgl" in done.stderr
    done, _ = resolve("--mode=finetune", "--method=nobody")
    assert "should be one of" in done.stderr or "expected one of" in done.stderr


def test_only_the_methods_own_settings_are_kept():
    config = from_flat({"mode": "finetune", "method": "agw", "gem_power": 2.0})
    kept = recorded(config)
    assert kept["gem_power"] == 2.0 and kept["init"] == "random"
    assert "nce_tau" not in kept and "triplet_margin" not in kept and "triplet_weight" in kept
    assert "init" not in recorded(from_flat({"mode": "pretrain", "method": "mmgl"}))


def test_a_title_may_hold_a_setting():
    assert title("supervised") == "Supervised" and title("mmgl", {"supervised_modalities": "both"}) == "MMGL"
    assert title("supervised", {"supervised_modalities": "visible"}) == "Supervised (visible)"
    assert title("nobody") == "nobody" and title("") == "no method"


def test_a_run_of_an_earlier_version_is_of_the_method_that_its_mode_had():
    assert migrated({"mode": "pretrain", "method": "agw"})["method"] == "mmgl"
    assert migrated({"mode": "finetune", "method": "two_stream"})["method"] == "two_stream"
    assert migrated({"mode": "import"}) == {"mode": "import"}


def test_what_an_earlier_version_said_of_norms_it_said_of_biases():
    assert migrated({"mode": "import", "wd_on_bn": False})["wd_on_bias"] is False
    assert migrated({"mode": "import", "wd_on_bn": False, "wd_on_bias": True})["wd_on_bias"] is True


@pytest.mark.parametrize("preset", ["paper", "demo", "smoke"])
@pytest.mark.parametrize("method", ["jigsaw", "psl"])
def test_puzzles_fit_the_presets(method, preset):
    values = settle("pretrain", {"method": method, "preset": preset}) | {"mode": "pretrain"}
    validate(from_flat(values))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"method": "jigsaw", "image_height": 256}, "--method=jigsaw cuts images into 3x3 cells"),
        ({"method": "psl", "image_width": 128}, "use multiples of 48, such as 288 and 144"),
        ({"method": "psl", "epochs": 2, "warmup_epochs": 0.0}, "--epochs=2: --method=psl has three stages"),
        ({"method": "psl", "psl_first_share": 0.8}, "psl_second_share=0.25 leave nothing of the run"),
    ],
)
def test_what_cannot_be_a_puzzle_is_refused(changes, words):
    with pytest.raises(ValueError, match=words):
        validate(from_flat(changes | {"mode": "pretrain"}))
    validate(from_flat(changes | {"mode": "pretrain", "method": "mmgl", "image_height": 288}))
