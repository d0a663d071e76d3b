"""Evaluation says when people are searched whom the run was trained on."""

import pytest

from modes.evaluate import evaluate
from pipelines.regdb import read_regdb
from pipelines.synthetic import write_world
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
