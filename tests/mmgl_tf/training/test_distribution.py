"""Which devices a run takes, and what a wrong TF_CONFIG is told."""

import json

import pytest
import tensorflow as tf

from mmgl_tf.training.distribution import Distribution, WorkerLost


def configure(monkeypatch, config):
    text = config if isinstance(config, str) else json.dumps(config)
    monkeypatch.setenv("TF_CONFIG", text)


def test_one_device_needs_no_strategy(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    for name in ("auto", "none"):
        alone = Distribution(name)
        assert (alone.name, alone.strategy, alone.workers, alone.local, alone.total) == (
            "none",
            None,
            1,
            1,
            1,
        )
        assert alone.chief and alone.first == 0
        alone.agree(step=3)
        assert alone.chief_first(lambda: "made") == "made"
        assert alone.dataset(lambda: "data") == "data"


def test_one_worker_in_tf_config_is_no_cluster_for_auto(monkeypatch):
    configure(monkeypatch, {"cluster": {"worker": ["localhost:1"]}, "task": {"type": "worker", "index": 0}})
    assert Distribution("auto").name == "none"


def test_none_ignores_tf_config(monkeypatch):
    configure(monkeypatch, "no JSON")
    assert Distribution("none").total == 1


def test_mirrored_on_one_device_is_one_replica():
    mirrored = Distribution("mirrored")
    assert (mirrored.name, mirrored.total, mirrored.local) == ("mirrored", 1, 1)
    with mirrored.scope():
        assert tf.distribute.get_strategy() is mirrored.strategy


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ("", "names no workers"),
        ("{}", "names no workers"),
        ("no JSON", "cannot be read"),
        ('["a list"]', "cannot be read"),
        ({"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 2}}, "from 0 to 1"),
        ({"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "chief", "index": 0}}, "task chief 0"),
        ({"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": "x"}}, "cannot be read"),
        (
            {"cluster": {"chief": ["a:1"], "worker": ["b:1"]}, "task": {"type": "worker"}},
            "cluster with chief",
        ),
    ],
)
def test_a_wrong_tf_config_is_one_readable_error(monkeypatch, config, words):
    configure(monkeypatch, config)
    with pytest.raises(ValueError, match=words):
        Distribution("multi_worker")


def test_a_chief_beside_the_workers_is_refused_by_auto_too(monkeypatch):
    """Each would train alone, in one directory."""
    configure(monkeypatch, {"cluster": {"chief": ["a:1"], "worker": ["b:1"]}, "task": {"type": "worker"}})
    with pytest.raises(ValueError, match="the first is the chief"):
        Distribution("auto")


def test_losses_are_told_only_where_there_are_other_workers():
    alone = Distribution("none")
    error = tf.errors.UnavailableError(None, None, "Socket closed")
    with pytest.raises(tf.errors.UnavailableError), alone.losses_told():
        raise error
    alone.workers = 2
    with pytest.raises(WorkerLost, match="UnavailableError: Socket closed"), alone.losses_told():
        raise error
    with pytest.raises(WorkerLost, match="InternalError: cuDNN launch failure"), alone.losses_told():
        raise tf.errors.InternalError(None, None, "cuDNN launch\n failure" + 1000 * " :")
    with pytest.raises(tf.errors.InvalidArgumentError), alone.losses_told():
        raise tf.errors.InvalidArgumentError(None, None, "a mistake of ours")
