"""Each method as a user runs it, on a handful of drawn people: to its end, killed and resumed, exported.

Slow, all of them; `tests/test_end_to_end.py` and `tests/test_finetuning_end_to_end.py` do more, for one
method each.
"""

import json
import signal

import numpy as np
import pytest

from mmgl_tf.figures import from_json
from mmgl_tf.flags.methods import METHODS as SETTINGS
from mmgl_tf.pretraining import PRETRAINING
from tests.contracts.cases import METHODS
from tests.real_runs import assert_same_end, read_by, rows, run, run_and_signal

pytestmark = pytest.mark.slow

# Three epochs of two steps: methods that train in stages need three.
SMALL = (
    "--dataset=synthetic",
    "--preset=smoke",
    "--world_train_identities=6",
    "--world_validation_identities=3",
    "--world_test_identities=2",
    "--batch_size=8",
    "--epochs=3",
    "--learning_rate=0.01",  # so few images span few dimensions; at a tenth they collapse
    "--steps_per_epoch=2",
    "--probe_images=8",
    "--identities_per_batch=4",
    "--images_per_identity=2",
    "--log_every_steps=1",
    "--checkpoint_every_steps=1",
)


def flags_of(method):
    """The command line of a method's small run."""
    mode = "pretrain" if method in PRETRAINING else "finetune"
    tiny = getattr(SETTINGS[method], "TINY", {})
    own = [f"--{name}={str(v).lower() if isinstance(v, bool) else v}" for name, v in tiny.items()]
    return (f"--mode={mode}", f"--method={method}", *read_by(mode, method, SMALL), *own)


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module", params=METHODS)
def undisturbed(request, tmp_path_factory, cache):
    """(method, directory of a run that nobody stopped, what it printed)."""
    root = tmp_path_factory.mktemp(request.param) / "run"
    return request.param, root, run(cache, *flags_of(request.param), f"--workdir={root}")


def test_a_run_reports_its_figures_and_leaves_its_weights(undisturbed):
    method, root, printed = undisturbed
    assert SETTINGS[method].TITLE in printed
    found = rows(root)
    assert [row["step"] for row in found] == [1, 2, 4, 6]
    reported = set().union(*found)
    for figure in from_json((root / "figures.json").read_text()):
        relatives = {
            f"{prefix}{figure.name}{suffix}"
            for prefix in ("", "validation/")
            for suffix in ("", "_visible", "_infrared")
        }
        clocked = figure.name.startswith(("throughput/", "loss_scale/"))
        assert clocked or relatives & reported, figure.name
    assert all(np.isfinite(value) for row in found for value in row.values())
    assert json.loads((root / "summary.json").read_text())["status"] == "complete"
    assert (root / "encoder_last.weights.h5").stat().st_size > 1e6
    if method in PRETRAINING:
        assert {path.stem for path in (root / "pictures").glob("*.png")} > {"curves"}


def test_killed_and_resumed_it_arrives_at_the_same_bits(undisturbed, tmp_path, cache):
    method, reference, _ = undisturbed
    root = tmp_path / "run"
    # In the first epoch, and in the next one: after an epoch's end, beyond a stage's where there are stages.
    for lines in (1, 2):
        status, printed = run_and_signal(cache, lines, signal.SIGKILL, *flags_of(method), f"--workdir={root}")
        assert status == -signal.SIGKILL, printed
    printed = run(cache, *flags_of(method), f"--workdir={root}")
    assert "resume     from step" in printed, printed
    assert_same_end(root, reference)
    assert rows(root) == rows(reference)


def test_it_is_exported_for_serving_and_for_pytorch(undisturbed, tmp_path, cache):
    method, root, _ = undisturbed
    served, torch = tmp_path / "served", tmp_path / "torch"
    run(cache, "--mode=export", f"--init={root}", f"--workdir={served}", "--skip_metrics")
    assert (served / "mmgl" / "1" / "saved_model.pb").is_file()
    card = (served / "mmgl" / "1" / "model_card.md").read_text()
    assert SETTINGS[method].TITLE in card
    run(cache, "--mode=export", f"--init={root}", f"--workdir={torch}", "--safetensors=visible")
    assert list(torch.glob("*.safetensors"))
