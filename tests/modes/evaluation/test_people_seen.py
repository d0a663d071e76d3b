"""Nobody is tested on whom a run or its start was trained on, or it is said."""

import numpy as np
import pytest

from mmgl_tf.backbones import Encoder
from mmgl_tf.backbones.pooled_encoder import PooledEncoder
from mmgl_tf.modes.evaluation.evaluate import evaluate
from mmgl_tf.modes.saved_run import start_encoders
from mmgl_tf.pipelines.readers.regdb import read_regdb
from mmgl_tf.pipelines.synthetic import write_world
from tests.modes.small_run import settings, write_run
from tests.pipelines.small_world import REGDB


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Directory with a RegDB tree and a run of its trial 1."""
    root = tmp_path_factory.mktemp("seen")
    write_world(REGDB, root / "tree")
    write_run(root / "run", settings(dataset="regdb", trial=1), embedders=("last",), steps=4)
    return root


def printed(root, tmp_path, capsys, **changes):
    given = {"dataset": "regdb", "data_dir": str(root / "tree"), "init": str(root / "run")}
    given |= {"workdir": str(tmp_path / "eval"), "cache_dir": str(root / "cache")}
    evaluate(settings("eval", **{**given, **changes}))
    return capsys.readouterr().out


def test_a_run_searched_in_another_trial_meets_people_it_was_trained_on(root, tmp_path, capsys):
    one, two = (read_regdb(str(root / "tree"), trial) for trial in (1, 2))
    seen = set(two.query.samples) & set(one.train.samples)
    assert 0 < len(seen) < len(two.query)
    found = printed(root, tmp_path, capsys, trial=2)
    assert f"{len(seen)} of {len(two.query)} queries are training or validation images too" in found
    assert "trained on trial 1; leave --trial=2 out" in found
    assert "training or validation images" not in printed(root, tmp_path, capsys, trial=1)


def test_a_run_of_other_data_has_not_seen_them(root, tmp_path, capsys):
    write_run(tmp_path / "run", settings(dataset="sysu"), embedders=("last",))
    found = printed(root, tmp_path, capsys, trial=2, init=str(tmp_path / "run"))
    assert "training or validation images" not in found


@pytest.fixture(scope="module")
def encoder():
    encoder = Encoder("resnet10", "two", seed=9)
    encoder.build_from(96, 48)
    return encoder


@pytest.fixture
def started(tmp_path, encoder):
    """Function (settings of the start, of the fine-tuning, what --init names) -> sentences."""

    def start(before, now, init="pre"):
        write_run(tmp_path / "pre", settings("pretrain", **before), encoders=("last",))
        untouched = [np.copy(value) for value in encoder.weights]
        try:
            return start_encoders(PooledEncoder(encoder), settings(init=str(tmp_path / init), **now))
        except ValueError:
            # Nothing has changed.
            assert all(np.array_equal(a, b) for a, b in zip(encoder.weights, untouched, strict=True))
            raise

    return start


REGDB_WORLD = {"dataset": "synthetic", "world_layout": "regdb"}


@pytest.mark.parametrize("common", [{"dataset": "regdb"}, REGDB_WORLD])
@pytest.mark.parametrize("init", ["pre", "pre/encoder_last.weights.h5"])
def test_a_start_of_another_trial_is_refused_and_one_of_the_same_is_not(started, common, init):
    message = r"pre.* was trained on trial 1 of \w+, .* test people of --trial=2; start from another data set"
    with pytest.raises(ValueError, match=message):
        started(common | {"trial": 1}, common | {"trial": 2}, init)
    lines = started(common | {"trial": 2}, common | {"trial": 2}, init)
    assert "65 tensors matched, 0 missing" in lines[1] and len(lines) == 2


@pytest.mark.parametrize(
    ("before", "now"),
    [
        ({"dataset": "sysu", "trial": 1}, {"dataset": "regdb", "trial": 2}),
        ({"dataset": "regdb", "trial": 1}, {"dataset": "sysu", "trial": 2}),
        # Trials are nothing in SYSU-MM01's layout, and other worlds are of other people.
        ({"dataset": "sysu", "trial": 1}, {"dataset": "sysu", "trial": 2}),
        ({"dataset": "synthetic", "trial": 1}, {"dataset": "synthetic", "trial": 2}),
        (REGDB_WORLD | {"trial": 1, "world_seed": 4}, REGDB_WORLD | {"trial": 2}),
        (REGDB_WORLD | {"trial": 1, "world_layout": "sysu"}, REGDB_WORLD | {"trial": 2}),
    ],
)
def test_starts_that_saw_none_of_the_test_people_are_taken(started, before, now):
    lines = started(before, now)
    assert "65 tensors matched" in lines[1] and len(lines) == 2


@pytest.mark.parametrize(
    ("before", "now", "flattered"),
    [
        ({"train_ids": "trainval"}, {"train_ids": "train"}, True),
        ({"train_ids": "train"}, {"train_ids": "train"}, False),
        ({"train_ids": "trainval"}, {"train_ids": "trainval"}, False),
        ({"train_ids": "trainval", "dataset": "regdb"}, {"train_ids": "train"}, False),
    ],
)
def test_a_start_that_saw_the_validation_people_is_noted(started, before, now, flattered):
    lines = started({"dataset": "sysu"} | before, {"dataset": "sysu"} | now)
    assert ("trained on the validation people too" in lines[-1]) == flattered
