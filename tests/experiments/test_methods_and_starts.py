"""The arms of Tables II and III: which runs they share, where they start, what stands beside them."""

import dataclasses

import pytest

from experiments.catalogue import EXPERIMENTS, IMAGENET
from experiments.cell import Arm, Experiment, cells_of, stages_of
from experiments.results import Selection
from experiments.starts import start_digest
from experiments.tables import table
from mmgl_tf.flags.methods import FINETUNING, stream
from tests.experiments.test_experiment_tables import finish, result_cell, rows


@pytest.fixture
def imagenet(tmp_path):
    """An import of weights, as far as its digest goes."""
    directory = tmp_path / "imagenet"
    directory.mkdir()
    (directory / "encoder_last.weights.h5").write_bytes(b"weights")
    return directory


def with_imagenet(name, path):
    return EXPERIMENTS[name].with_starts({IMAGENET: str(path)})


@pytest.mark.parametrize("name", ["table2", "table3"])
def test_every_method_meets_every_start(name, imagenet):
    experiment = with_imagenet(name, imagenet)
    assert len(experiment.arms) == 4 * len(FINETUNING)
    without = EXPERIMENTS[name].with_starts({IMAGENET: ""})
    assert len(without.arms) == 3 * len(FINETUNING)
    assert not [arm for arm in without.arms if "ImageNet" in arm.name]
    for cell in cells_of(experiment, [0], "demo", {}, "R"):
        tuned = cell.stages[-2]
        starts = {
            "random": "random",
            "ImageNet": str(imagenet),
            "Supervised (visible)": cell.stages[0].directory.as_posix(),
            "MMGL": cell.stages[0].directory.as_posix(),
        }
        assert tuned.flags["init"] == starts[cell.arm.name.split(", ")[1]]
        assert tuned.flags["init_weights"] == "last"
        # Both stems of an import alike: a method with one takes either.
        alike = cell.arm.init and stream(tuned.flags["method"]) == "one"
        assert tuned.flags.get("stem_from") == ("visible" if alike else None)
        assert len(cell.stages) == (3 if cell.arm.pretrain else 2)
        if cell.arm.pretrain:
            assert cell.stages[0].flags["stream"] == stream(tuned.flags["method"])


def test_starts_are_shared_by_all_methods_with_such_stems():
    found = cells_of(EXPERIMENTS["table2"].with_starts({IMAGENET: ""}), [0], "demo", {}, "R")
    pretrained = {cell.stages[0].directory for cell in found if cell.arm.pretrain}
    kinds = {stream(method) for method in FINETUNING}
    assert len(pretrained) == 2 * len(kinds)


def test_trials_are_splits_of_one_seed_from_one_pre_training():
    experiment = EXPERIMENTS["table3"].with_starts({IMAGENET: ""})
    found = [c for c in cells_of(experiment, range(2), "demo", {}, "R") if c.arm.name == "AGW, MMGL"]
    first, second = found
    assert first.stages[0] == second.stages[0]
    assert [cell.stages[1].flags["trial"] for cell in found] == [1, 2]
    assert [cell.stages[1].seed for cell in found] == [0, 0]
    assert first.run != second.run
    assert "trial" not in first.stages[0].flags


def test_flags_of_the_fine_tuning_reach_it_and_its_evaluation_alone():
    typed = {"dataset": "regdb", "data_dir": "B"}
    for_all = {"dataset": "sysu", "data_dir": "A"}
    before, after, looked = stages_of(Arm("MMGL", {}), 0, "paper", for_all, "R", typed)
    assert (before.flags["dataset"], before.flags["data_dir"]) == ("sysu", "A")
    assert (after.flags["dataset"], after.flags["data_dir"]) == ("regdb", "B")
    assert {"--dataset=regdb", "--data_dir=B"} <= set(looked.words)


def test_other_weights_under_the_same_path_are_another_run(imagenet):
    arm = Arm("ImageNet", init=str(imagenet))
    first = stages_of(arm, 0, "demo", {}, "R")[0].directory
    (imagenet / "encoder_last.weights.h5").write_bytes(b"others")
    assert stages_of(arm, 0, "demo", {}, "R")[0].directory != first
    assert start_digest(imagenet) == start_digest(imagenet / "encoder_last.weights.h5")
    with pytest.raises(ValueError, match="neither a run with an encoder nor a weights file"):
        start_digest(imagenet / "nothing")


def test_methods_may_be_measured_by_features_of_their_own_and_one_method_may_not(tmp_path):
    arms = (Arm("AGW", finetune={"method": "agw"}), Arm("two", finetune={"method": "two_stream"}))
    experiment = Experiment("About it.", arms)
    found = cells_of(experiment, range(2), "demo", {}, tmp_path)
    for cell in found:
        finish(cell, result_cell(1.0, 2.0, feature={"AGW": "neck", "two": "pool"}[cell.arm.name]))
    text = table("example", experiment, found, Selection())
    assert "; agw by its neck feature, last weights; two_stream by its pool feature, last weights" in text
    odd = cells_of(experiment, range(3), "demo", {}, tmp_path)[-1]
    finish(odd, result_cell(1.0, 2.0, feature="neck"))
    with pytest.raises(ValueError, match=r"evaluated differently.*\n.*two, seed 0: pool.*\n.*seed 2: neck"):
        table("example", experiment, [*found, odd], Selection())


def test_the_papers_number_is_that_of_the_evaluation_shown(tmp_path):
    experiment = EXPERIMENTS["table2"].with_starts({IMAGENET: ""})
    agw = dataclasses.replace(experiment, arms=tuple(a for a in experiment.arms if a.name[:3] == "AGW"))
    found = cells_of(agw, [0], "demo", {}, tmp_path)
    finish(found[0], result_cell(1.0, 2.0), result_cell(3.0, 4.0, search="indoor", shots=10))
    for evaluation, published in (
        ({}, "25.5 / 66.1 / 80.1 / 26.1"),
        ({"search": "indoor", "shots": 10}, "33.4 / 80.0 / 92.2 / 27.8"),
    ):
        row = rows(table("table2", agw, found, Selection(**evaluation)))["AGW, random"]
        assert published in row
