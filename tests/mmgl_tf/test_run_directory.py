import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mmgl_tf.flags.config import from_flat
from mmgl_tf.run_directory import RunDirectory, atomic_file
from mmgl_tf.training.checkpoints import Checkpoints

ROOT = Path(__file__).parents[2]


def test_atomic_file_shows_the_old_file_or_the_new_one(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(RuntimeError), atomic_file(path, "w") as file:
        file.write("half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["file"]
    with atomic_file(path, "w") as file:
        file.write("new")
    assert path.read_text() == "new"


def test_atomic_file_has_ordinary_permissions(tmp_path):
    with atomic_file(tmp_path / "ours", "w") as file:
        file.write("x")
    (tmp_path / "plain").write_text("x")
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_the_same_settings_may_go_on_and_others_are_refused_with_the_difference(tmp_path):
    run = RunDirectory(tmp_path / "run")
    run.claim(from_flat({"epochs": 20}))
    RunDirectory(tmp_path / "run").claim(from_flat({"epochs": 20, "data_threads": 2}))
    Checkpoints(run.checkpoints).save(3, {}, {})
    with pytest.raises(ValueError, match="--epochs: was 20, now 30") as error:
        RunDirectory(tmp_path / "run").claim(from_flat({"epochs": 30}))
    assert "--force" in str(error.value)
    assert json.loads(run.config_path.read_text())["epochs"] == 20, "a refused start must not change the run"
    forced = from_flat({"epochs": 30, "force": True})
    again = RunDirectory(tmp_path / "run")
    again.claim(forced)
    assert json.loads(run.config_path.read_text())["epochs"] == 20, "whether they fit is not known yet"
    again.record(forced)
    assert json.loads(run.config_path.read_text())["epochs"] == 30


SETTLED = {"mode": "pretrain", "method": "colorization"}


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize(
    ("changes", "was"),
    [
        (SETTLED | {"colorization_rebalance": 0.25}, SETTLED),
        (SETTLED | {"colorization_bins": "bins.npy"}, SETTLED),
        (SETTLED | {"stem_init": "independent"}, SETTLED),
        ({"zero_init_residual": False}, {"mode": "pretrain", "method": "simsiam"}),
        ({"perm_init_stddev": 0.5}, {"mode": "pretrain", "method": "mmgl"}),
    ],
)
def test_what_is_read_at_the_start_alone_never_changes(tmp_path, changes, was, force):
    run = RunDirectory(tmp_path / "run")
    run.claim(from_flat(was))
    Checkpoints(run.checkpoints).save(3, {}, {})
    name = list(changes)[-1]
    with pytest.raises(ValueError, match=f"--{name}=.*cannot go on.*not even with --force"):
        RunDirectory(tmp_path / "run").claim(from_flat(was | changes | {"force": force}))


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize(
    ("other", "named"),
    [
        ({"mode": "pretrain", "method": "byol"}, "--method=simclr.*--method=byol"),
        ({"mode": "finetune", "method": "agw"}, "--mode=pretrain.*--mode=finetune"),
    ],
)
def test_a_run_never_becomes_one_of_another_method(tmp_path, force, other, named):
    run = RunDirectory(tmp_path / "run")
    run.claim(from_flat({"mode": "pretrain", "method": "simclr"}))
    before = run.config_path.read_text()
    Checkpoints(run.checkpoints).save(3, {}, {})
    with pytest.raises(ValueError, match=f"{named}.*Choose another --workdir"):
        RunDirectory(tmp_path / "run").claim(from_flat(other | {"force": force}))
    assert run.config_path.read_text() == before


def test_before_the_first_checkpoint_settings_may_be_corrected(tmp_path):
    run = RunDirectory(tmp_path / "run")
    run.claim(from_flat({"batch_size": 500}))
    run.claim(from_flat({"batch_size": 8}))
    assert json.loads(run.config_path.read_text())["batch_size"] == 8


def test_the_remains_of_a_kill_are_not_strangers(tmp_path):
    (tmp_path / ".config.json.x1.tmp").write_text("half")
    RunDirectory(tmp_path).claim(from_flat({}))


def test_a_directory_with_other_things_in_it_is_refused(tmp_path):
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(ValueError, match=r"no config\.json"):
        RunDirectory(tmp_path)
    with pytest.raises(ValueError, match="is a file"):
        RunDirectory(tmp_path / "thesis.tex")


def test_a_half_written_row_is_left_out(tmp_path):
    run = RunDirectory(tmp_path / "run")
    run.claim(from_flat({}))
    run.write_metrics([{"epoch": 1, "step": 5}])
    with open(run.metrics_path, "a") as file:
        file.write('{"epoch": 2, "st')
    assert run.read_metrics() == [{"epoch": 1, "step": 5}]


def test_a_second_process_in_the_same_directory_is_refused(tmp_path):
    program = (
        "import sys; from mmgl_tf.flags.config import from_flat\n"
        "from mmgl_tf.run_directory import RunDirectory\n"
        "run = RunDirectory(sys.argv[1]); run.claim(from_flat({}))\n"
        "print('mine', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "run")]
    first = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert first.stdout.readline() == "mine\n"
    run = RunDirectory(tmp_path / "run")
    with pytest.raises(ValueError, match="another process is at work"):
        run.claim(from_flat({}))
    first.kill()
    first.communicate()
    run.claim(from_flat({}))
