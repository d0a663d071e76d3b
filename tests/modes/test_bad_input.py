"""What a user sees who gets something wrong: one message that says what, and how to mend it."""

import os
import re
import shutil

import pytest

from mmgl_tf.flags.config import World
from mmgl_tf.modes.training.finetune import finetune
from mmgl_tf.pipelines.readers.folder import read_folder
from mmgl_tf.pipelines.synthetic import synthesize
from tests.forked_runs import run_main
from tests.modes.small_run import settings, write_run


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    world = World(
        world_train_identities=4,
        world_validation_identities=2,
        world_test_identities=2,
        world_frames=2,
        world_infrared_train_frames=2,
        world_height=96,
    )
    root = tmp_path_factory.mktemp("tree") / "sysu"
    synthesize(world, root)
    return root


@pytest.fixture
def spoiled(tree, tmp_path):
    """A copy of the tree with three unreadable training images: empty, cut short, not an image."""
    root = tmp_path / "sysu"
    shutil.copytree(tree, root)
    identity = (root / "exp" / "train_id.txt").read_text().split(",")[0].strip().zfill(4)
    first, second = sorted((root / "cam1" / identity).iterdir())[:2]
    first.write_bytes(b"")
    second.write_bytes(second.read_bytes()[:200])
    sorted((root / "cam3" / identity).iterdir())[0].write_text("no image")
    return root


def run(tmp_path, *flags, mode="pretrain"):
    places = (f"--workdir={tmp_path / 'run'}", f"--cache_dir={tmp_path / 'cache'}")
    done = run_main(f"--mode={mode}", "--preset=smoke", *places, *flags)
    assert "Traceback" not in done.stderr, done.stderr
    return done


def test_a_data_set_without_directory_or_with_a_wrong_one_says_what_is_expected(tmp_path):
    done = run(tmp_path, "--dataset=sysu")
    assert done.returncode == 1 and "--data_dir" in done.stderr
    (tmp_path / "wrong").mkdir()
    done = run(tmp_path, "--dataset=sysu", f"--data_dir={tmp_path / 'wrong'}")
    assert done.returncode == 1
    assert (
        "exp/" in done.stderr.replace(os.sep, "/") and "train_id.txt" in done.stderr and "cam1" in done.stderr
    )


def test_unreadable_images_stop_the_run_and_are_all_named(tmp_path, spoiled):
    done = run(tmp_path, "--dataset=sysu", f"--data_dir={spoiled}")
    assert done.returncode == 1
    assert len(re.findall(r"cam[13]/\d{4}/\d{4}\.jpg", done.stderr)) == 3, done.stderr
    assert "--on_bad_image=skip" in done.stderr


@pytest.mark.slow
def test_unreadable_images_can_be_skipped_and_are_listed(tmp_path, spoiled):
    """In the directory of the run that failed on them, as its message advises."""
    assert run(tmp_path, "--dataset=sysu", f"--data_dir={spoiled}", "--batch_size=4").returncode == 1
    done = run(
        tmp_path,
        "--dataset=sysu",
        f"--data_dir={spoiled}",
        "--on_bad_image=skip",
        "--batch_size=4",
        "--epochs=1",
        "--steps_per_epoch=1",
        "--probe_images=4",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 unreadable images" in done.stdout
    assert len(re.findall(r"cam[13]/\d{4}/\d{4}\.jpg", done.stdout)) == 3


def test_check_data_lists_every_problem_and_fails(tmp_path, spoiled):
    done = run(tmp_path, "--dataset=sysu", f"--data_dir={spoiled}", mode="check_data")
    assert done.returncode == 1
    assert len(set(re.findall(r"cam[13]/\d{4}/\d{4}\.jpg", done.stdout))) == 3, done.stdout
    assert "22,258" in done.stdout and "3,803" in done.stdout, "published counts stand beside the found ones"


def test_a_batch_larger_than_the_data_is_refused(tmp_path, tree):
    done = run(tmp_path, "--dataset=sysu", f"--data_dir={tree}", "--batch_size=500", "--steps_per_epoch=0")
    assert done.returncode == 1
    assert "500" in done.stderr and "--batch_size" in done.stderr


def test_stripes_that_divide_neither_image_nor_feature_map_are_refused(tmp_path, tree):
    done = run(tmp_path, "--dataset=sysu", f"--data_dir={tree}", "--num_stripes=4")
    assert done.returncode == 1
    assert "--num_stripes=4" in done.stderr and "use one of 2, 3, 6" in done.stderr


def test_held_out_people_of_one_modality_are_refused_before_training(tmp_path, tree):
    root = tmp_path / "folder"
    for modality, camera in (("visible", "cam1"), ("infrared", "cam3")):
        for identity in sorted((tree / camera).iterdir()):
            for image in identity.iterdir():
                target = root / modality / identity.name / image.name
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(image.read_bytes())
    splits = read_folder(str(root), "train")
    for identity in {sample.identity for sample in splits.validation.samples}:
        shutil.rmtree(root / "infrared" / splits.identity_names[identity])
    done = run(tmp_path, "--dataset=folder", f"--data_dir={root}")
    assert done.returncode == 1
    assert "0 infrared images were found for validation" in done.stderr


def finetuning(tmp_path, tree, **changes):
    """The configuration of a fine-tuning on the tree."""
    own = {"dataset": "sysu", "data_dir": str(tree), "train_ids": "train", "epochs": 1, "warmup_epochs": 0.0}
    places = {"workdir": str(tmp_path / "run"), "cache_dir": str(tmp_path / "cache")}
    return settings("finetune", **(own | places | changes))


def test_fine_tuning_needs_to_know_who_is_who(tmp_path, tree):
    root = tmp_path / "folder"
    for modality, camera in (("visible", "cam1"), ("infrared", "cam3")):
        (root / modality).mkdir(parents=True)
        for number, image in enumerate(sorted((tree / camera).rglob("*.jpg"))):
            (root / modality / f"{number}.jpg").write_bytes(image.read_bytes())
    done = run(tmp_path, "--dataset=folder", f"--data_dir={root}", mode="finetune")
    assert done.returncode == 1
    assert re.search(r"\d+ of \d+ training images have no identity; --mode=finetune needs them", done.stderr)
    assert "a directory of their own below visible/ and infrared/" in done.stderr


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"init": "typo"}, "--init=typo is neither a run directory nor a file"),
        ({"init": "{tree}"}, "holds no run"),
        ({"init": "{begun}"}, r"begun has no encoder_best\.weights\.h5; its first epoch is not finished"),
        ({"init": "{tree}/exp/train_id.txt"}, r"train_id\.txt cannot be read as a weights file"),
        ({"identities_per_batch": 5}, "A batch needs 5 identities .* but there are only 4"),
    ],
)
def test_fine_tunings_that_cannot_start_say_why_and_save_nothing(tmp_path, tree, changes, message):
    write_run(tmp_path / "begun", settings("pretrain"))
    known = {"tree": tree, "begun": tmp_path / "begun"}
    changes = {n: v.format(**known) if isinstance(v, str) else v for n, v in changes.items()}
    changes = {"identities_per_batch": 2} | changes  # the tree has four
    with pytest.raises(ValueError, match=message):
        finetune(finetuning(tmp_path, tree, **changes))
    left = {path.name for path in (tmp_path / "run").glob("*")}
    assert left <= {"config.json", "run.lock", "tensorboard", "metrics.jsonl"}


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ([], "--mode=eval with --init=random: expected --init=RUN, the directory of an earlier run"),
        (
            ["--init="],
            "error: --mode=eval with --init=: expected --init=RUN, the directory of an earlier run",
        ),
        (["--init=typo"], "--init=typo is no run to look at: "),
        (["--init={begun}{{trial}}"], "begun1 is no run to look at: "),
        (["--init={begun}", "--backbone=resnet50"], "was trained with --backbone=resnet10; leave it out"),
        (["--init={begun}"], "has no encoder_last.weights.h5; its first epoch is not finished"),
    ],
)
def test_evaluations_of_what_is_not_there_are_one_message(tmp_path, tree, flags, message):
    write_run(tmp_path / "begun", settings("pretrain", dataset="sysu", data_dir=str(tree)))
    given = [flag.format(begun=tmp_path / "begun") for flag in flags]
    done = run_main("--mode=eval", f"--cache_dir={tmp_path / 'cache'}", *given)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert message in done.stderr, done.stderr
