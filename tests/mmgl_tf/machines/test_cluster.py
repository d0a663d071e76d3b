"""What TF_CONFIG says, and what it is told where it is wrong."""

import json

import pytest

from mmgl_tf.machines.cluster import read_cluster


def configured(monkeypatch, config):
    text = config if isinstance(config, str) else json.dumps(config)
    monkeypatch.setenv("TF_CONFIG", text)
    return read_cluster()


def cluster(workers, task=None):
    return {"cluster": {"worker": workers}, "task": {"type": "worker", "index": 0} if task is None else task}


@pytest.mark.parametrize(
    "workers",
    [["a:1", "b:1"], ["10.0.0.1:2222", "10.0.0.1:2223"], ["[::1]:80", "node-3.cluster:65535"], ["a:1"]],
)
def test_workers_and_the_own_place(monkeypatch, workers):
    last = len(workers) - 1
    assert configured(monkeypatch, cluster(workers, {"type": "worker", "index": last})) == (workers, last)


@pytest.mark.parametrize("config", ["", "{}", {"cluster": {}}, {"cluster": {"worker": []}}, {"task": {}}])
def test_no_cluster(monkeypatch, config):
    assert configured(monkeypatch, config) == ([], 0)


def test_unset(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    assert read_cluster() == ([], 0)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ("no JSON", "cannot be read"),
        ('["a list"]', "cannot be read"),
        ('{"cluster": 3}', "cannot be read"),
        (cluster("127.0.0.1:2222"), "the workers '127.0.0.1:2222'; expected a list"),
        (cluster(["127.0.0.1", "127.0.0.2"]), "the worker '127.0.0.1'; expected a list"),
        (cluster([1, 2]), "the worker 1; expected"),
        (cluster(["a:1", "b:1 "]), "the worker 'b:1 '"),
        (cluster(["::1:1", "b:1"]), "the worker '::1:1'"),
        (cluster(["a:1", "b:1", "a:1"]), "a:1 twice"),
        (cluster(["a:1", "b:1"], {}), "task None None; expected a worker from 0 to 1"),
        (cluster(["a:1", "b:1"], {"type": "worker"}), "task worker None"),
        (cluster(["a:1", "b:1"], {"type": "worker", "index": 2}), "from 0 to 1"),
        (cluster(["a:1", "b:1"], {"type": "worker", "index": -1}), "from 0 to 1"),
        (cluster(["a:1", "b:1"], {"type": "worker", "index": "x"}), "task worker x"),
        (cluster(["a:1", "b:1"], {"type": "chief", "index": 0}), "task chief 0"),
        (
            {"cluster": {"chief": ["a:1"], "worker": ["b:1"]}, "task": {"type": "worker"}},
            "cluster with chief",
        ),
    ],
)
def test_a_wrong_one_is_one_readable_error(monkeypatch, config, words):
    with pytest.raises(ValueError, match="TF_CONFIG") as error:
        configured(monkeypatch, config)
    assert words in str(error.value)
