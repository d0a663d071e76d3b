"""Validation on replicas judges the network that is saved, on all of the held-out images."""

import json
import subprocess
import sys

import pytest

from mmgl_tf.flags.config import from_flat
from mmgl_tf.modes.model import build_model
from mmgl_tf.modes.reading import open_stores, read_splits
from mmgl_tf.pipelines.batches.build import held_out_dataset
from mmgl_tf.pipelines.batches.recipe import mmgl_held_out
from mmgl_tf.pipelines.records import INFRARED, VISIBLE
from mmgl_tf.training.checkpoints import Checkpoints, restore
from mmgl_tf.training.plan import TrainingPlan
from tests.real_runs import ROOT
from tests.test_end_to_end import TINY


@pytest.mark.slow
def test_replicas_that_normalise_apart_are_validated_as_the_saved_network_is_on_one_device(tmp_path):
    """Each replica has seen half of the images; its moving statistics are its own until they are shared."""
    words = [*TINY, "--epochs=2", "--strategy=mirrored", "--nosync_batch_norm", "--nopictures"]
    words += [f"--workdir={tmp_path / 'run'}", f"--cache_dir={tmp_path / 'cache'}"]
    done = subprocess.run(
        [sys.executable, "-m", "tests.mmgl_tf.training.step.virtual_devices", "2", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "mirrored, 2 replicas" in done.stdout and "batch norm in each" in done.stdout
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    told = {name: value for name, value in rows[-1].items() if name.startswith("validation/accuracy/")}
    assert len(told) == 6

    config = from_flat(json.loads((tmp_path / "run" / "config.json").read_text()))
    stores = open_stores(config.data, read_splits(config), ["validation"])
    images = held_out_dataset(
        [stores["validation", modality] for modality in (VISIBLE, INFRARED)],
        mmgl_held_out(config.mmgl.num_stripes, config.held_out_orders.validation_permutations),
        config.optimization.batch_size,
        config.run.seed,
        config.pretraining.validation_images,
    )
    assert any((batch["weight"] == 0).numpy().any() for batch in images), "padding is tested too"
    model = build_model(config, TrainingPlan(config.optimization.steps_per_epoch))
    arrays, _ = Checkpoints(tmp_path / "run" / "checkpoints").latest()
    restore(model, arrays)
    found = model.evaluate(images, return_dict=True, verbose=0)
    assert {f"validation/{name}": value for name, value in found.items()} == pytest.approx(told, abs=1e-6)
