"""Settings belong to methods: who reads them, who is refused them, and what a run keeps."""

import pytest

from mmgl_tf.flags.config import from_flat, migrated, recorded
from mmgl_tf.flags.definitions import help_page
from mmgl_tf.flags.methods import title
from mmgl_tf.flags.resolution import resolve as settle
from mmgl_tf.flags.validation import validate
from tests.flags.test_configuration import resolve


@pytest.mark.parametrize(
    ("words", "shown", "hidden"),
    [
        (("--method=two_stream",), "--triplet_margin=", "--nce_tau="),
        (("--mode=finetune",), "--gem_power=", "--nce_tau="),
        (("--mode=pretrain",), "--nce_tau=", "--gem_power="),
    ],
)
def test_help_shows_the_flags_of_the_chosen_method(words, shown, hidden):
    asked = dict(word[2:].split("=") for word in words)
    page = help_page(*(asked.get(name, "") for name in ("method", "mode")))
    assert shown in page and hidden not in page


def test_a_flag_of_another_method_is_refused():
    done, _ = resolve("--mode=finetune", "--method=two_stream", "--gem_power=2")
    assert "--gem_power is a setting of agw; --method=two_stream does not read it" in done.stderr
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


@pytest.mark.parametrize(
    ("method", "norms", "biases"),
    [
        *[(method, False, False) for method in ("simclr", "byol", "barlow_twins")],
        *[(method, False, True) for method in ("jigsaw", "psl")],
        *[(method, True, True) for method in ("simsiam", "swav", "colorization", "supervised", "mmgl")],
    ],
)
def test_native_recipes_decay_norms_and_biases_as_the_authors_do(method, norms, biases):
    found = settle("pretrain", {"method": method, "preset": "paper", "recipe": "native"})
    assert (found.get("wd_on_bn", True), found.get("wd_on_bias", True)) == (norms, biases)


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
