"""The program as a user runs it: real processes, real files, real kills."""

import json
import resource
import signal
import subprocess

import numpy as np
import pytest

from tests import real_runs
from tests.forked_runs import run_main
from tests.real_runs import ROOT, assert_same_end, last_checkpoint

# Two epochs of five steps on a handful of drawn people.
TINY = (
    "--mode=pretrain",
    "--dataset=synthetic",
    "--preset=smoke",
    "--world_train_identities=6",
    "--world_validation_identities=3",
    "--world_test_identities=2",
    "--batch_size=8",
    "--steps_per_epoch=5",
    "--probe_images=8",
    "--log_every_steps=1",
)


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, cache):
    """A run that nobody stopped: (its directory, what it printed)."""
    workdir = tmp_path_factory.mktemp("undisturbed") / "run"
    done = run(workdir, cache)
    assert done.returncode == 0, done.stdout + done.stderr
    return workdir, done.stdout


def command(workdir, cache, *flags):
    return real_runs.command(cache, *TINY, f"--workdir={workdir}", *flags)


def run(workdir, cache, *flags):
    return run_main(*command(workdir, cache, *flags)[2:])


def run_in_a_new_interpreter(workdir, cache, *flags, **kwargs):
    return subprocess.run(
        command(workdir, cache, *flags), cwd=ROOT, capture_output=True, text=True, timeout=300, **kwargs
    )


def run_and_signal(workdir, cache, step, signum, *flags):
    """Start a run; send a signal once it has printed so many lines of steps."""
    return real_runs.run_and_signal(cache, step, signum, *TINY, f"--workdir={workdir}", *flags)


def comparable(row):
    return {name: value for name, value in row.items() if not name.startswith(("time/", "throughput/"))}


def test_a_run_says_what_it_will_do_and_leaves_everything_in_its_directory(undisturbed):
    workdir, printed = undisturbed
    head = {line[:11].strip(): line[11:] for line in printed.splitlines() if line[:11].strip()}
    assert "6 identities, 96 visible (camera 1: 24" in head["train"]
    assert "60 infrared (camera 3: 30, camera 6: 30)" in head["train"]
    assert "3 identities" in head["validation"]
    assert "global batch 16" in head["steps"] and "2 epochs x 5 steps" in head["steps"]
    assert "float32, CPU" in head["compute"]
    assert head["strategy"] == "none, one replica"
    assert head["resume"].startswith("no")
    assert str(workdir) in head["output"]
    assert "identities never seen" in printed and "chance" in printed and "images/s" in printed
    rows = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    assert [(row["epoch"], row["step"]) for row in rows] == [(0, 1), (1, 5), (2, 10)]
    for name in (
        "loss/total",
        "loss/permutation",
        "loss/part",
        "loss/cycle_contrast",
        "validation/accuracy/permutation_whole_visible",
        "validation/accuracy/permutation_stripe_infrared",
        "validation/accuracy/part_visible",
        "embedding/std",
        "embedding/effective_rank",
        "embedding/modality_gap",
        "matching/part_mass",
        "matching/slot_mass",
        "matching/identity_lift",
        "sinkhorn/row_error",
        "learning_rate",
        "throughput/images_per_second",
        "throughput/data_wait_share",
    ):
        assert np.isfinite(rows[-1][name]), name
    assert 0 <= rows[-1]["throughput/data_wait_share"] <= 1
    for picture in ("augmented_batch", "curves", "recovered_stripes", "matching"):
        assert (workdir / "pictures" / f"{picture}.png").stat().st_size > 10_000
    for name in ("encoder_best.weights.h5", "encoder_last.weights.h5", "config.json", "summary.json"):
        assert (workdir / name).exists()
    assert printed.endswith((workdir / "summary.txt").read_text())
    assert not [path for path in workdir.rglob("*") if path.name.startswith(".")], (
        "temporary files stay behind"
    )


def test_tensorboard_has_the_scalars_pictures_and_settings(undisturbed):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(undisturbed[0] / "tensorboard"), size_guidance={"tensors": 0})
    events.Reload()
    tags = set(events.Tags()["tensors"])
    assert {"loss/permutation", "loss/cycle_contrast", "learning_rate", "embedding/std"} <= tags
    assert "validation/accuracy/permutation_whole_visible" in tags
    assert {"input/augmented_batch", "probe/recovered_stripes", "probe/matching"} <= tags
    assert "_hparams_/session_start_info" in tags
    assert [event.step for event in events.Tensors("loss/total")] == list(range(1, 11))


def test_the_saved_encoder_is_the_trained_one(undisturbed):
    from mmgl_tf.backbones import Encoder

    encoder = Encoder("resnet10", stream="two", seed=99)
    encoder.build_from(96, 48)
    encoder.load_weights(undisturbed[0] / "encoder_last.weights.h5")
    arrays, _ = last_checkpoint(undisturbed[0])
    for variable in encoder.weights:
        np.testing.assert_array_equal(variable, arrays[f"weight/{variable.path}"])


@pytest.mark.slow
def test_killed_at_any_step_and_resumed_it_arrives_at_the_same_bits(undisturbed, tmp_path, cache):
    workdir = tmp_path / "run"
    for lines in (3, 2, 1):
        # With a checkpoint every second step, each life gets further than the one before; few enough lines
        # that a machine too busy to deliver the signal at once does not let the run end first.
        status, printed = run_and_signal(workdir, cache, lines, signal.SIGKILL, "--checkpoint_every_steps=2")
        assert status == -signal.SIGKILL, f"not killed after {lines} lines:\n{printed}"
    done = run_in_a_new_interpreter(workdir, cache, "--checkpoint_every_steps=2")
    assert done.returncode == 0, done.stdout + done.stderr
    assert_same_end(workdir, undisturbed[0])
    rows = [
        [comparable(json.loads(line)) for line in (directory / "metrics.jsonl").read_text().splitlines()]
        for directory in (workdir, undisturbed[0])
    ]
    assert rows[0] == rows[1]


@pytest.mark.parametrize("signum", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)])
def test_asked_to_stop_it_finishes_the_step_saves_and_says_how_to_go_on(undisturbed, tmp_path, cache, signum):
    workdir = tmp_path / "run"
    status, printed = run_and_signal(workdir, cache, 2, signum)
    assert status == 128 + signum, printed
    assert "Give the same command again" in printed
    _, note = last_checkpoint(workdir)
    assert 2 <= note["step"] < 10
    done = run(workdir, cache)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"from step {note['step']} of 10" in done.stdout
    assert_same_end(workdir, undisturbed[0])


def test_a_finished_run_is_not_trained_again(undisturbed, cache):
    before = last_checkpoint(undisturbed[0])
    done = run(undisturbed[0], cache)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "from step 10 of 10" in done.stdout
    assert "identities never seen" in done.stdout
    np.testing.assert_equal(last_checkpoint(undisturbed[0])[0], before[0])


def test_another_configuration_is_refused_with_the_difference(undisturbed, cache):
    done = run(undisturbed[0], cache, "--learning_rate=0.05", "--gumbel_samples=5")
    assert done.returncode == 1
    assert "--learning_rate: was 0.1, now 0.05" in done.stderr
    assert "--gumbel_samples: was 10, now 5" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_another_number_of_threads_gives_the_same_bits(undisturbed, tmp_path, cache):
    workdir = tmp_path / "run"
    done = run(workdir, cache, "--data_threads=3", "--nocache")
    assert done.returncode == 0, done.stdout + done.stderr
    assert_same_end(workdir, undisturbed[0])


def test_a_loss_that_is_not_finite_stops_the_run_and_names_term_and_step(tmp_path, cache):
    workdir = tmp_path / "run"
    done = run(workdir, cache, "--learning_rate=1e25", "--clip_norm=0", "--checkpoint_every_steps=1")
    assert done.returncode == 3
    assert "stopped being finite at step" in done.stderr and "loss/" in done.stderr
    assert "Traceback" not in done.stderr
    if (workdir / "checkpoints").exists():
        arrays, _ = last_checkpoint(workdir)
        assert str(workdir / "checkpoints") in done.stderr
        assert all(np.isfinite(value).all() for name, value in arrays.items() if name.startswith("weight/"))


@pytest.mark.slow
def test_a_full_disk_stops_the_run_and_the_last_good_checkpoint_carries_on(undisturbed, tmp_path, cache):
    """A file-size limit on the process stands for the disk: writing a checkpoint fails for real."""
    workdir = tmp_path / "run"
    status, _ = run_and_signal(workdir, cache, 7, signal.SIGKILL)
    assert status == -signal.SIGKILL
    limit = 3_000_000
    limits = {"preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))}
    done = run_in_a_new_interpreter(workdir, cache, **limits)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "could not save" in done.stderr and "make room" in done.stderr.lower()
    assert last_checkpoint(workdir)[1]["step"] == 5
    done = run(workdir, cache)
    assert done.returncode == 0, done.stdout + done.stderr
    assert_same_end(workdir, undisturbed[0])
