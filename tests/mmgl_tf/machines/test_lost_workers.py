"""Workers that are killed or asked to stop: real processes of the real program, on loopback.

The long soak of the project: 200 steps of pre-training under two workers, of which a random one is killed
twice, end with the very weights of a run that nobody disturbed. SOAK_SEED=N in the environment draws other
steps and other victims.
"""

import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.real_runs import ROOT, assert_same_end, last_checkpoint, read_by
from tests.test_end_to_end import TINY

SHORT = ("--epochs=2", "--steps_per_epoch=5")
LONG = ("--epochs=10", "--steps_per_epoch=20", "--warmup_epochs=1", "--checkpoint_every_steps=7")


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


def launched(workdir, cache, *flags, restarts=3, tiny=TINY):
    """Start two workers; the launcher's process."""
    command = [
        sys.executable,
        "-m",
        "mmgl_tf.machines.local_workers",
        "--workers=2",
        f"--restarts={restarts}",
    ]
    command += [
        "--",
        *tiny,
        "--strategy=multi_worker",
        f"--workdir={workdir}",
        f"--cache_dir={cache}",
        *flags,
    ]
    return subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )


def workers_of(launcher):
    """Process numbers, the chief's first."""
    return [
        int(word) for word in Path(f"/proc/{launcher.pid}/task/{launcher.pid}/children").read_text().split()
    ]


def watched(launcher, at=None):
    """Read to the end; call a function (launcher) once after each number of lines of steps in `at`.

    Returns:
        (exit status, text).
    """
    lines, steps, at = [], 0, dict(at or {})
    for line in launcher.stdout:
        lines.append(line)
        steps += line.startswith("epoch ")
        if line.startswith("epoch ") and steps in at:
            at.pop(steps)(launcher)
    launcher.stdout.close()
    return launcher.wait(timeout=120), "".join(lines)


@pytest.mark.slow
def test_soak_two_workers_two_kills_the_same_weights(tmp_path, cache):
    status, text = watched(launched(tmp_path / "undisturbed", cache, *LONG))
    assert status == 0, text[-3000:]
    dice = random.Random(int(os.environ.get("SOAK_SEED", "5")))
    victims = {step: dice.randrange(2) for step in sorted(dice.sample(range(10, 190), 2))}
    print("killed after {step: worker}:", victims)

    def kill(index):
        return lambda launcher: os.kill(workers_of(launcher)[index], signal.SIGKILL)

    kills = {step: kill(victim) for step, victim in victims.items()}
    status, text = watched(launched(tmp_path / "killed", cache, *LONG), kills)
    assert status == 0, text[-3000:]
    assert text.count("starting all 2 again") == 2, text
    assert text.count("from step") == 2, "it went on, both times"
    assert last_checkpoint(tmp_path / "undisturbed")[1]["step"] == 200
    assert_same_end(tmp_path / "killed", tmp_path / "undisturbed")


@pytest.mark.slow
def test_a_signal_to_one_worker_stops_all_after_the_same_step_and_they_go_on(tmp_path, cache):
    status, text = watched(launched(tmp_path / "undisturbed", cache, *SHORT))
    assert status == 0, text[-3000:]
    stop = {2: lambda launcher: os.kill(workers_of(launcher)[1], signal.SIGTERM)}
    status, text = watched(launched(tmp_path / "stopped", cache, *SHORT), stop)
    assert status == 143, text[-3000:]
    assert text.count("everything is saved") == 1, "only the chief speaks"
    step = last_checkpoint(tmp_path / "stopped")[1]["step"]
    assert 2 <= step < 10, step
    status, text = watched(launched(tmp_path / "stopped", cache, *SHORT))
    assert status == 0 and f"from step {step}" in text, text[-3000:]
    assert_same_end(tmp_path / "stopped", tmp_path / "undisturbed")


OTHER_SETTINGS = "sys.argv += [f'--seed={index}']"
# As from a file of the same name and other contents.
OTHER_WEIGHTS = """
from mmgl_tf.modes.training import trainer
build = trainer.build_model
def build_other(*arguments):
    model = build(*arguments)
    model.encoder.weights[0].assign(model.encoder.weights[0] + index)
    return model
trainer.build_model = build_other
"""


# The monitor of every process would say so; the chief's alone counts.
COLLAPSED = """
from mmgl_tf.pretraining.base import PretrainingModel
PretrainingModel.judged = lambda model, epochs: "projections are a point" if index == 0 else "nobody asks"
"""


def launched_with(tmp_path, cache, lines):
    """(exit status, printed) of two workers that run some lines first, which know their `index`."""
    wrapper = tmp_path / "wrapper.py"
    wrapper.write_text(
        "import json, os, runpy, sys\n"
        "index = json.loads(os.environ['TF_CONFIG'])['task']['index']\n"
        "sys.path.insert(0, os.getcwd())\n"
        f"{lines}\n"
        "runpy.run_path('main.py', run_name='__main__')\n"
    )
    flags = [*TINY, "--strategy=multi_worker", f"--workdir={tmp_path / 'run'}", f"--cache_dir={cache}"]
    launcher = [sys.executable, "-m", "mmgl_tf.machines.local_workers", "--workers=2", "--"]
    done = subprocess.run(
        [*launcher, str(wrapper), *flags], cwd=ROOT, capture_output=True, text=True, timeout=300
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.slow
def test_all_workers_end_as_collapsed_where_the_chief_sees_it(tmp_path, cache):
    status, printed = launched_with(tmp_path, cache, COLLAPSED)
    assert status == 3, printed[-3000:]
    assert "projections are a point (epoch 1)" in printed and "nobody asks" not in printed
    assert "lost another one" not in printed
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["status"] == "collapsed"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("worker", "what"), [(OTHER_SETTINGS, "seed"), (OTHER_WEIGHTS, "the weights at the start")]
)
def test_workers_that_are_not_about_to_do_the_same_refuse_to_start(tmp_path, cache, worker, what):
    """Worker 1 gets another seed, or other weights."""
    status, printed = launched_with(tmp_path, cache, worker)
    assert status == 1
    assert f"worker 1 and worker 0 differ in {what} (here: " in printed


@pytest.mark.slow
def test_fine_tuning_under_two_workers_is_that_of_one_and_goes_on_with_another_number(tmp_path, cache):
    flags = ("--mode=finetune", "--method=two_stream", "--init=random", "--identities_per_batch=4")
    flags += (
        "--images_per_identity=2",
        "--epochs=2",
        "--steps_per_epoch=4",
        "--learning_rate=0.0001",
    )  # hard triplets tip over at more
    tiny = read_by("finetune", "two_stream", TINY)
    status, text = watched(launched(tmp_path / "two", cache, *flags, tiny=tiny))
    assert status == 0, text[-3000:]
    single = [sys.executable, "main.py", *tiny, *flags, f"--cache_dir={cache}"]
    done = subprocess.run(
        [*single, f"--workdir={tmp_path / 'one'}"], cwd=ROOT, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (two, _), (one, _) = last_checkpoint(tmp_path / "two"), last_checkpoint(tmp_path / "one")
    assert set(two) == set(one)
    for name in ("loss_total", "loss_triplet"):
        (key,) = [key for key in one if key.startswith("metric/") and key.endswith(f"{name}/total")]
        np.testing.assert_allclose(two[key], one[key], rtol=1e-3, err_msg=name)
    longer = [*single, f"--workdir={tmp_path / 'two'}", "--epochs=3", "--force"]
    done = subprocess.run(longer, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0 and "from step 8 of 12" in done.stdout, done.stdout + done.stderr
