"""Pre-trained on one data set, fine-tuned on another, evaluated on a third: trees of every layout on disk."""

import json
import shutil

import pytest

from mmgl_tf.pipelines.readers.sysu import read_sysu
from tests.test_finetuning_end_to_end import EVAL, FINETUNE, PRETRAIN, cache, run

__all__ = ["cache", "run"]  # fixtures
pytestmark = pytest.mark.slow
PEOPLE = (
    "--world_train_identities=6",
    "--world_validation_identities=2",
    "--world_test_identities=4",
    "--world_frames=2",
    "--world_height=96",
)


@pytest.fixture(scope="module")
def trees(tmp_path_factory, run):
    """Roots of trees in the layout of SYSU-MM01, of RegDB, and of a folder with people to test on."""
    root = tmp_path_factory.mktemp("trees")
    run("--mode=synthesize", *PEOPLE, f"--workdir={root / 'sysu'}")
    # As RegDB has it: as many people are tested as trained.
    people = (*PEOPLE, "--world_validation_identities=0", "--world_test_identities=6")
    run("--mode=synthesize", *people, "--world_layout=regdb", f"--workdir={root / 'regdb'}")
    splits = read_sysu(str(root / "sysu"))
    for split, below in ((splits.train, ""), (splits.query, "test"), (splits.gallery, "test")):
        for number, sample in enumerate(split.samples):
            place = (
                root / "folder" / below / ("visible", "infrared")[sample.modality] / f"{sample.identity:04d}"
            )
            place.mkdir(parents=True, exist_ok=True)
            shutil.copy(sample.path, place / f"{number:04d}.jpg")
    return root


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory, trees, run):
    """A pre-training on the tree in SYSU-MM01's layout."""
    root = tmp_path_factory.mktemp("runs") / "sysu"
    run(*PRETRAIN, "--dataset=sysu", f"--data_dir={trees / 'sysu'}", f"--workdir={root}")
    return root


def finetune(run, trees, pretrained, workdir, dataset, *flags, **kwargs):
    places = (f"--dataset={dataset}", f"--data_dir={trees / dataset}", f"--workdir={workdir}")
    return run(*FINETUNE, "--steps_per_epoch=2", f"--init={pretrained}", *places, *flags, **kwargs)


def results_of(directory):
    return json.loads((directory / "results.json").read_text())


def test_regdbs_trials_are_runs_of_their_own_and_their_mean_is_printed(trees, pretrained, tmp_path, run):
    for trial in (1, 2):
        printed = finetune(run, trees, pretrained, tmp_path / f"trial{trial}", "regdb", f"--trial={trial}")
        assert "65 tensors matched" in printed
        assert "mAP on validation identities" in printed, "a fifth of RegDB's people is held out"
    printed = run(*EVAL, f"--init={tmp_path / 'trial1'},{tmp_path / 'trial2'}")
    assert "mean and standard deviation over 2 runs" in printed
    assert "visible to infrared" in printed and "infrared to visible" in printed
    trials = [results_of(tmp_path / f"trial{n}" / "eval" / f"regdb-trial{n}") for n in (1, 2)]
    assert [result["trial"] for result in trials] == [1, 2]
    cells = [result["cells"] for result in trials]
    assert [(c["direction"], c["feature"], c["weights"]) for c in cells[0]] == [
        (direction, feature, which)
        for which in ("last", "best")
        for feature in ("neck", "pool")
        for direction in ("visible_to_infrared", "infrared_to_visible")
    ]
    for cell in cells[0]:
        assert (cell["shots"], cell["draw"], cell["trials"], cell["gallery"]) == (0, "all", 1, 60)
    mean = 50 * sum(cell[0]["mAP"]["mean"] for cell in cells)
    lines = printed.split("over 2 runs")[1].splitlines()
    assert f"{mean:.2f}" in next(line for line in lines if line.startswith("visible to"))
    # {trial} stands for 1 to 10, and says which one is missing.
    printed = run(*EVAL, f"--init={tmp_path}/trial{{trial}}", status=1)
    assert "trial3 is no run to look at" in printed


def test_a_run_is_evaluated_on_another_data_set_without_a_trick(trees, pretrained, tmp_path, run):
    finetune(run, trees, pretrained, tmp_path / "run", "sysu", "--method=agw")
    for dataset, queries in (("regdb", 60), ("folder", 16), ("synthetic", 16)):
        flags = [f"--dataset={dataset}"]
        if dataset != "synthetic":
            flags.append(f"--data_dir={trees / dataset}")
        printed = run(*EVAL, *flags, f"--init={tmp_path / 'run'}")
        assert "trained on sysu" in printed and f"evaluated on {dataset}" in printed
        name = "regdb-trial1" if dataset == "regdb" else dataset
        results = results_of(tmp_path / "run" / "eval" / name)
        assert (results["dataset"], results["trained_on"]) == (dataset, "sysu")
        assert results["cells"][0]["queries"] == queries
    printed = run(*EVAL, "--gallery_draw=official", "--flip", "--rerank", f"--init={tmp_path / 'run'}")
    assert "galleries by exp/rand_perm_cam.mat" in printed
    assert "flip averaged, k-reciprocal re-ranking" in printed
    results = results_of(tmp_path / "run" / "eval" / "sysu-flip-rerank-official")
    assert {(cell["draw"], cell["flip"], cell["rerank"]) for cell in results["cells"]} == {
        ("official", True, True)
    }


def test_a_folder_is_trained_on_and_searched_plainly(trees, pretrained, tmp_path, run):
    root = tmp_path / "folder"
    shutil.copytree(trees / "folder", root)
    # One person was never seen by a visible camera; another has no test image there.
    trained, *_ = sorted((root / "visible").iterdir())
    tested, *_ = sorted((root / "test" / "visible").iterdir())
    shutil.rmtree(trained)
    shutil.rmtree(tested)
    own = (f"--data_dir={root}", "--identities_per_batch=2", "--train_ids=trainval")
    printed = finetune(run, trees, pretrained, tmp_path / "run", "folder", *own)
    assert "1 identities have no visible training image and are left out" in printed
    printed = run(*EVAL, f"--init={tmp_path / 'run'}")
    assert "protocol   plain: 16 queries, the whole gallery" in printed
    assert "4 queries have no image of their person in some gallery" in printed
    results = results_of(tmp_path / "run" / "eval" / "folder")
    assert [cell["queries_without_match"] for cell in results["cells"][:2]] == [4, 0]
    shutil.rmtree(root / "test")
    printed = run(*EVAL, f"--init={tmp_path / 'run'}")
    assert "queries are training or validation images too" in printed


def test_a_folders_validation_people_choose_the_best_weights(trees, pretrained, tmp_path, run):
    printed = finetune(run, trees, pretrained, tmp_path / "run", "folder", "--train_ids=train")
    assert "mAP on validation identities" in printed
    assert (tmp_path / "run" / "embedder_best.weights.h5").exists()
