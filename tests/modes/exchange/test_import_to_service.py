"""A checkpoint comes in, finds people and goes out, as a user does it, on a machine without PyTorch."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.mmgl_tf.interchange.state_dicts import RESNET10, two_stream
from tests.mmgl_tf.interchange.torch_file import write

ROOT = Path(__file__).parents[3]
# Python runs a module of this name at its start, in the processes that a mode starts, too.
WITHOUT_TORCH = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "torchvision", "timm"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Absent())
"""
# One process for all modes.
SCRIPT = """
import json, sys
try:
    import torch
    sys.exit("PyTorch is there")
except ModuleNotFoundError:
    pass
from mmgl_tf.flags.reading import configs_of
from mmgl_tf.modes import MODES
for typed in json.loads(sys.argv[1]):
    configs = configs_of(typed)
    assert MODES[typed["mode"]](*configs) == 0, typed
"""
WORLD = {
    "world_train_identities": 4,
    "world_validation_identities": 2,
    "world_test_identities": 3,
    "world_frames": 2,
    "world_infrared_train_frames": 2,
    "world_height": 96,
}


def steps(root, *typed):
    (root / "sitecustomize.py").write_text(WITHOUT_TORCH)
    command = [sys.executable, "-c", SCRIPT, json.dumps(typed)]
    places = {"PYTHONPATH": f"{root}{os.pathsep}{ROOT}"}
    found = subprocess.run(
        command, cwd=ROOT, env=os.environ | places, capture_output=True, text=True, timeout=600
    )
    assert found.returncode == 0, found.stdout + found.stderr
    return found.stdout


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """(directory, typed settings of the import and of the evaluation)."""
    root = tmp_path_factory.mktemp("import")
    path = write(root / "agw.t", {"net": two_stream(RESNET10, "agw", offset=False), "epoch": 80})
    run = str(root / "run")
    size = {"image_height": 96, "image_width": 48}
    bring = {"mode": "import", "checkpoint": str(path), "workdir": run, "dataset": "sysu", **size}
    search = {"mode": "eval", "init": run, "data_dir": str(root / "sysu"), "cache_dir": str(root / "cache")}
    steps(root, {"mode": "synthesize", "workdir": str(root / "sysu"), **WORLD}, bring, search)
    return root, run


@pytest.mark.slow
def test_an_imported_network_is_evaluated_with_all_its_pictures(begun):
    _, run = begun
    (path,) = Path(run).glob("eval/*/results.json")
    results = json.loads(path.read_text())
    assert (results["dataset"], results["mode"], results["method"]) == ("sysu", "import", "agw")
    assert results["status"] == "complete" and results["init"] is None
    assert {cell["feature"] for cell in results["cells"]} == {"neck", "pool"}
    assert all(np.isfinite(cell["mAP"]["mean"]) and cell["paper"] is None for cell in results["cells"])
    assert list(path.parent.rglob("*.png"))


@pytest.mark.slow
def test_an_imported_network_goes_out_for_pytorch(begun):
    root, run = begun
    steps(root, {"mode": "export", "init": run, "safetensors": "both", "workdir": str(root / "out")})
    assert (root / "out" / "encoder_both.safetensors").is_file()


@pytest.mark.slow
def test_an_imported_network_is_exported_for_tf_serving(begun):
    root, run = begun
    shared = {"data_dir": str(root / "sysu"), "cache_dir": str(root / "cache")}
    steps(root, {"mode": "export", "init": run, "serving_batch_sizes": "1,2", **shared})
    (saved,) = Path(run).glob("export/mmgl/*/saved_model.pb")
    assert json.loads(saved.with_name("model.json").read_text())["streams"] == "two"
