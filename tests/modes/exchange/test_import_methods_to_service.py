"""Networks of other repositories find people and are exported, as a user does it."""

import json
from pathlib import Path

import numpy as np
import pytest

from mmgl_tf.flags.reading import configs_of
from mmgl_tf.modes import MODES
from tests.mmgl_tf.interchange.state_dicts import RESNET10, ddag, mpanet, vcd
from tests.mmgl_tf.interchange.torch_file import write
from tests.modes.exchange.test_import_to_service import WORLD

TREES = {
    "mpanet": lambda: mpanet(RESNET10, patterns=3),
    "ddag": lambda: {"net": ddag(RESNET10, copies=False)},
    "vcd": lambda: {"model": vcd(RESNET10)},
}
SERVED = {"mpanet": ("neck", 1024), "ddag": ("attention", 256), "vcd": ("neck", 1024)}


def step(mode, **typed):
    configs = configs_of({"mode": mode, **typed})
    assert MODES[mode](*configs) == 0


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Settings with which modes find a data set of a few drawn people."""
    root = tmp_path_factory.mktemp("world")
    step("synthesize", workdir=str(root / "sysu"), **WORLD)
    return {"dataset": "sysu", "data_dir": str(root / "sysu"), "cache_dir": str(root / "cache")}


@pytest.mark.parametrize(
    "method", ["mpanet", *(pytest.param(name, marks=pytest.mark.slow) for name in ("ddag", "vcd"))]
)
def test_a_file_is_imported_evaluated_and_exported(tmp_path, world, method):
    path, run = write(tmp_path / "checkpoint.pth", TREES[method]()), str(tmp_path / "run")
    feature, size = SERVED[method]
    step("import", checkpoint=str(path), workdir=run, image_height=96, image_width=48)
    step("eval", init=run, pictures=False, **world)
    (found,) = Path(run).glob("eval/*/results.json")
    results = json.loads(found.read_text())
    assert (results["method"], results["status"], results["mode"]) == (method, "complete", "import")
    assert results["cells"][0]["feature"] == feature
    assert all(np.isfinite(cell["mAP"]["mean"]) for cell in results["cells"])
    step("export", init=run, serving_batch_sizes="1", skip_metrics=True, **world)
    (saved,) = Path(run).glob("export/mmgl/*/saved_model.pb")
    card = json.loads(saved.with_name("model.json").read_text())
    assert card["feature"] == feature
    if method == "mpanet":  # the rest would be the slowest of the quick tests
        return
    step("embed", init=run, images=str(Path(world["data_dir"]) / "cam1"), cache_dir=world["cache_dir"])
    with np.load(Path(run, "embed", "cam1", "embeddings.npz")) as embedded:
        assert size in {array.shape[-1] for array in embedded.values() if array.ndim == 2}
    step("visualize", init=run, **world)
    assert list(Path(run).glob("visualize/*/pictures/activation_maps.png"))
