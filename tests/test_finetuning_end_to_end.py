"""Pre-train, fine-tune, evaluate, as a user does it: real processes, real files, real kills."""

import functools
import json
import shutil
import signal

import h5py
import numpy as np
import pytest

from tests import real_runs
from tests.real_runs import rows, run_and_signal

# A handful of drawn people.
WORLD = (
    "--preset=smoke",
    "--world_train_identities=6",
    "--world_validation_identities=3",
    "--world_test_identities=2",
    "--log_every_steps=1",
)
PRETRAIN = (
    "--mode=pretrain",
    *WORLD,
    "--batch_size=8",
    "--epochs=1",
    "--steps_per_epoch=2",
    "--probe_images=8",
)
# Two epochs of four steps.
FINETUNE = (
    "--mode=finetune",
    *WORLD,
    "--steps_per_epoch=4",
    "--identities_per_batch=3",
    "--images_per_identity=2",
    "--batch_size=16",
)
EVAL = ("--mode=eval", "--nopictures")
ROWS = (
    "loss/total",
    "loss/identity",
    "loss/triplet",
    "accuracy/identity",
    "accuracy/triplet",
    "embedding/spread",
    "embedding/modality_gap",
    "gradient/norm",
    "learning_rate",
    "validation/rank1",
    "validation/mAP",
    "validation/mINP",
    "throughput/images_per_second",
)


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def run(cache):
    """Function (*flags, status=0) -> what the program printed."""

    return functools.partial(real_runs.run, cache)


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory, run):
    root = tmp_path_factory.mktemp("runs") / "pretrained"
    run(*PRETRAIN, f"--workdir={root}")
    return root


@pytest.fixture(scope="module")
def finetuned(tmp_path_factory, run, pretrained):
    """A run that nobody stopped: (its directory, what it printed)."""
    root = tmp_path_factory.mktemp("runs") / "finetuned"
    return root, run(*FINETUNE, f"--init={pretrained}", f"--workdir={root}")


def tensors(path):
    """{name: bytes} of a weights file."""
    found = {}

    def visit(name, item):
        if isinstance(item, h5py.Dataset):
            found[name] = item[()].tobytes()

    with h5py.File(path) as file:
        file.visititems(visit)
    return found


def assert_same_end(root, reference):
    for which in ("last", "best"):
        name = f"embedder_{which}.weights.h5"
        assert tensors(root / name) == tensors(reference / name), name
    assert rows(root) == rows(reference)


def status_of(root):
    return json.loads((root / "summary.json").read_text())["status"]


def test_fine_tuning_says_where_it_starts_and_leaves_everything_in_its_directory(finetuned, pretrained):
    root, printed = finetuned
    lines = [(line[:11].strip(), line[11:]) for line in printed.splitlines()]
    start = [text for name, text in lines if name == "start"]
    assert start[0] == str(pretrained / "encoder_best.weights.h5")
    assert start[1] == "65 tensors matched, 0 missing, 0 dropped"
    assert start[-1].startswith("trained as MMGL (as published but for preset smoke")
    noted = json.loads((root / "start.json").read_text())
    assert noted["init"] == str(pretrained) and noted["status"] == "complete"
    assert noted["settings"] == json.loads((pretrained / "config.json").read_text())
    head = dict(lines)
    assert head["run"].startswith("finetune Two-Stream, seed 0, preset smoke")
    assert head["steps"] == (
        "2 epochs x 4 steps of 6 visible + 6 infrared images (global batch 12), "
        "3 identities x 2 of each modality"
    )
    assert "6 classes" in head["network"]
    assert "mAP on validation identities" in printed and f"--mode=eval --init={root}" in printed
    found = [json.loads(line) for line in (root / "metrics.jsonl").read_text().splitlines()]
    assert [(row["epoch"], row["step"]) for row in found] == [(0, 1), (1, 4), (2, 8)]
    assert all(np.isfinite(found[-1][name]) for name in ROWS)
    assert {"validation/mAP", "embedding/modality_gap"} <= set(found[0]), "the start, to compare with"
    best = max(found[1:], key=lambda row: (row["validation/mAP"], row["epoch"]))["epoch"]
    summary = json.loads((root / "summary.json").read_text())
    assert (summary["status"], summary["best_epoch"]) == ("complete", best)
    weights = sorted(path.name for path in root.glob("*.weights.h5"))
    assert weights == [f"{n}_{w}.weights.h5" for n in ("embedder", "encoder") for w in ("best", "last")]
    assert (tensors(root / weights[0]) == tensors(root / weights[1])) == (best == 2)
    assert tensors(root / weights[3]) != tensors(pretrained / "encoder_best.weights.h5")
    assert (root / "pictures" / "curves.png").stat().st_size > 5_000
    assert not [path for path in root.rglob("*") if path.name.startswith(".")], "temporary files stay behind"


def test_evaluation_of_the_run_has_every_cell_with_last_and_best(finetuned, run):
    root, _ = finetuned
    printed = run(*EVAL, f"--init={root}")
    results = json.loads((root / "eval" / "synthetic" / "results.json").read_text())
    assert results["dataset"] == results["trained_on"] == "synthetic"
    assert (results["method"], results["seed"], results["steps"]) == ("two_stream", 0, 8)
    cells = results["cells"]
    found = [tuple(cell[n] for n in ("search", "shots", "direction", "feature", "weights")) for cell in cells]
    assert found == [
        (search, shots, "infrared_to_visible", feature, which)
        for which in ("last", "best")
        for feature in ("neck", "pool")
        for search in ("all", "indoor")
        for shots in (1, 10)
    ]
    names = {
        "draw",
        "flip",
        "rerank",
        "trials",
        "queries",
        "queries_without_match",
        "gallery",
        "cmc",
        "paper",
    }
    figures = {"rank1", "rank5", "rank10", "rank20", "mAP", "mINP"}
    for cell in cells:
        assert names | figures <= set(cell)
        assert (cell["trials"], cell["queries"], len(cell["cmc"])) == (10, 16, 20)
        assert all(set(cell[name]) == {"mean", "std", "values"} for name in figures)
    if results["best_epoch"] == 2:
        assert [c | {"weights": ""} for c in cells[:8]] == [c | {"weights": ""} for c in cells[8:]]
    assert "queries of camera 3 are not compared with camera 2" in printed
    assert str(root / "eval" / "synthetic" / "results.json") in printed


@pytest.mark.slow
def test_killed_within_an_epoch_and_resumed_it_arrives_at_the_same_bits(
    finetuned, pretrained, tmp_path, cache, run
):
    root = tmp_path / "run"
    flags = (*FINETUNE, f"--init={pretrained}", f"--workdir={root}", "--checkpoint_every_steps=2")
    # Two lines after the checkpoint of step 4, on a machine that may be too busy to deliver it at once.
    status, printed = run_and_signal(cache, 5, signal.SIGKILL, *flags)
    assert status == -signal.SIGKILL, printed
    assert not (root / "summary.json").exists()
    printed = run(*flags)
    assert "see the checkpoint" in printed and "from step " in printed
    assert_same_end(root, finetuned[0])


def test_a_run_that_diverges_is_a_fail_and_leaves_no_weights(pretrained, tmp_path, run):
    root = tmp_path / "run"
    printed = run(*FINETUNE, f"--init={pretrained}", f"--workdir={root}", "--learning_rate=1e6", status=3)
    assert "\nfail: " in printed and "as the paper's tables have it" in printed
    summary = json.loads((root / "summary.json").read_text())
    assert summary["status"] == "fail" and summary["reason"] in printed
    assert not list(root.glob("*.weights.h5"))


@pytest.mark.slow
def test_a_good_epochs_weights_survive_a_bad_one(finetuned, pretrained, tmp_path, run):
    root = tmp_path / "run"
    shutil.copytree(finetuned[0], root)
    flags = (*FINETUNE, f"--init={pretrained}", f"--workdir={root}", "--epochs=3", "--force")
    printed = run(*flags, "--learning_rate=1e20", status=3)
    assert "The last good checkpoint is" in printed or "not finite" in printed
    assert status_of(root) == "fail"
    for path in finetuned[0].glob("*.weights.h5"):
        assert tensors(root / path.name) == tensors(path), path.name
    run(*flags, "--learning_rate=0.01")
    assert status_of(root) == "complete"


@pytest.mark.slow
def test_a_network_that_only_inference_shows_to_be_broken_is_a_fail(pretrained, tmp_path, run):
    """One step an epoch: moving statistics of the first weights, and weights that exploded."""
    root = tmp_path / "run"
    flags = ("--steps_per_epoch=1", "--warmup_epochs=0", "--learning_rate=1e5")
    printed = run(*FINETUNE, *flags, f"--init={pretrained}", f"--workdir={root}", status=3)
    assert "embeddings" in printed and "not finite" in printed and status_of(root) == "fail"
    assert not list(root.glob("*.weights.h5"))


@pytest.mark.slow
@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_asked_to_stop_it_saves_and_goes_on_later(finetuned, pretrained, tmp_path, cache, run, signum):
    root = tmp_path / "run"
    flags = (*FINETUNE, f"--init={pretrained}", f"--workdir={root}")
    status, printed = run_and_signal(cache, 2, signum, *flags)
    assert status == 128 + signum, printed
    assert "Give the same command again" in printed and not (root / "summary.json").exists()
    run(*flags)
    assert_same_end(root, finetuned[0])
    before = {path.name: path.read_bytes() for path in root.glob("*.weights.h5")}
    assert "from step 8 of 8" in run(*flags), "a finished run is not trained again"
    assert {path.name: path.read_bytes() for path in root.glob("*.weights.h5")} == before
    refused = run(*flags, "--triplet_margin=0.5", status=1)
    assert "--triplet_margin: was 0.3, now 0.5" in refused


@pytest.mark.slow
def test_threads_and_cache_do_not_change_a_bit(finetuned, pretrained, tmp_path, run):
    root = tmp_path / "run"
    run(*FINETUNE, f"--init={pretrained}", f"--workdir={root}", "--data_threads=3", "--nocache")
    assert_same_end(root, finetuned[0])


@pytest.mark.slow
@pytest.mark.parametrize("method", ["one_stream", "agw"])
def test_with_nobody_held_out_there_are_only_last_weights(pretrained, tmp_path, run, method):
    root = tmp_path / "run"
    flags = (*FINETUNE, f"--method={method}", "--train_ids=trainval", "--epochs=1", "--warmup_epochs=0")
    if method == "one_stream":
        assert "--stem_from=visible" in run(*flags, f"--init={pretrained}", f"--workdir={root}", status=1)
    printed = run(*flags, "--stem_from=mean", f"--init={pretrained}", f"--workdir={root}")
    assert "9 classes" in printed and "nobody was held out" in printed
    assert {path.name for path in root.glob("*.h5")} == {
        "embedder_last.weights.h5",
        "encoder_last.weights.h5",
    }
    assert not [name for row in rows(root) for name in row if name.startswith("validation/")]
    run(*EVAL, f"--init={root}")
    results = json.loads((root / "eval" / "synthetic" / "results.json").read_text())
    assert {cell["weights"] for cell in results["cells"]} == {"last"} and "best_epoch" not in results
    assert results["method"] == method
