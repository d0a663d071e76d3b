"""How long arms train: the preset's length, a share of it in the demo, or what was typed."""

from experiments.catalogue import EXPERIMENTS
from experiments.cell import Arm, cells_of, stages_of
from experiments.settings import resolved
from experiments.short_schedules import with_lengths


def lengths(name, preset, extra=()):
    """{arm: {mode: epochs}} of an experiment's first seed."""
    cells = cells_of(EXPERIMENTS[name], [0], preset, dict(extra), "R")
    return {
        cell.arm.name: {
            stage.mode: resolved(stage.mode, preset, stage.flags)["epochs"] for stage in cell.stages[:-1]
        }
        for cell in cells
    }


def test_only_the_demo_s_trainings_are_cut_short_and_never_what_was_typed():
    short = lengths("table4", "demo")
    assert short["BYOL"] == {"pretrain": 6, "finetune": 4} and short["random"] == {"finetune": 4}
    assert short["MMGL, equal images"] == {"pretrain": 12, "finetune": 4}
    whole = lengths("table4", "paper")
    assert whole["BYOL, two_stream"] == {"pretrain": 100, "finetune": 81}
    assert whole["MMGL, equal images"] == {"pretrain": 200, "finetune": 81}
    assert lengths("table5", "smoke")["all"] == {"pretrain": 2, "finetune": 2}
    typed = lengths("table4", "demo", {"epochs": 7})
    assert typed["BYOL"] == typed["MMGL, equal images"] == {"pretrain": 7, "finetune": 7}
    assert lengths("main", "demo")["MMGL"] == {"pretrain": 12, "finetune": 10}


def test_warm_up_is_cut_with_the_epochs():
    (stage,) = stages_of(
        with_lengths(Arm("x", None, {"method": "agw"}), "demo", {}, True), 0, "demo", {}, "R"
    )[:-1]
    assert {"--epochs=4", "--warmup_epochs=0.4"} <= {*stage.words}
