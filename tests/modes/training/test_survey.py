"""A method's survey of the training images: when it is made, and when it is read."""

from pathlib import Path

import numpy as np
import pytest

from mmgl_tf.flags.config import from_flat
from mmgl_tf.machines.distribution import Distribution
from mmgl_tf.modes.training.survey import survey
from mmgl_tf.pipelines.records import VISIBLE
from tests.pipelines.fake_store import FakeStore

STORES = {("train", VISIBLE): FakeStore(9, usable=[0, 1, 3, 4, 6, 8])}


class Method:
    """Adds up what it is shown."""

    def __init__(self):
        self.seen = []

    def survey(self, options, images):
        shown = images("visible", 3)
        self.seen.append(len(shown))
        return {"sum": sum(image.astype(np.int64).sum() for image in shown) + options}


@pytest.fixture
def config(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.json").write_text("{}")
    return from_flat({"mode": "pretrain", "workdir": str(tmp_path / "run")})


def begun(config):
    checkpoints = Path(config.run.workdir) / "checkpoints"
    checkpoints.mkdir()
    (checkpoints / "step_00000003.npz").touch()


def test_images_are_spread_and_the_result_outlives_the_images(config, capsys):
    method, store = Method(), STORES["train", VISIBLE]
    found = survey(config, method, 5, STORES, Distribution("none"))
    assert found["sum"] == sum(store.images[i].astype(np.int64).sum() for i in (0, 3, 6)) + 5
    assert "training images surveyed: 3/3" in capsys.readouterr().out
    begun(config)
    again = survey(config, method, 5, {}, Distribution("none"))
    assert again["sum"] == found["sum"] and method.seen == [3]


def test_before_the_first_checkpoint_settings_may_change(config):
    first = survey(config, Method(), 5, STORES, Distribution("none"))
    second = survey(config, Method(), 6, STORES, Distribution("none"))
    assert second["sum"] == first["sum"] + 1


def test_another_worker_reads_what_the_chief_found(config):
    found = survey(config, Method(), 5, STORES, Distribution("none"))
    worker = Distribution("none")
    worker.worker = 1
    method = Method()
    assert survey(config, method, 99, {}, worker)["sum"] == found["sum"]
    assert method.seen == []


def test_a_damaged_file_is_made_anew(config):
    method = Method()
    found = survey(config, method, 5, STORES, Distribution("none"))
    begun(config)
    path = Path(config.run.workdir) / "survey.npz"
    path.write_bytes(path.read_bytes()[:40])
    assert survey(config, method, 5, STORES, Distribution("none"))["sum"] == found["sum"]
    assert method.seen == [3, 3]


def test_a_method_that_asks_nothing_leaves_no_file(config):
    class Quiet:
        def survey(self, options, images):
            return {}

    assert survey(config, Quiet(), None, STORES, Distribution("none")) == {}
    assert not (Path(config.run.workdir) / "survey.npz").exists()
