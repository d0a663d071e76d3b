"""Settings belong to methods: who reads them, who is refused them, and what a run keeps."""

import pytest

from mmgl_tf.flags.config import from_flat, migrated, recorded
from mmgl_tf.flags.definitions import help_page
from mmgl_tf.flags.methods import title
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
