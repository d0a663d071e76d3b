"""Which devices a run takes, and what a wrong TF_CONFIG is told."""

import json
import os
import socket
import subprocess
import sys

import pytest
import tensorflow as tf

from mmgl_tf.machines.distribution import Distribution, WorkerLost


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


@pytest.mark.parametrize("config", ["", "{}", {"cluster": {}}, {"cluster": {"worker": []}}])
def test_several_workers_need_a_tf_config(monkeypatch, config):
    configure(monkeypatch, config)
    with pytest.raises(ValueError, match="names no workers; expected such as"):
        Distribution("multi_worker")


def test_a_wrong_tf_config_is_refused_by_auto_too(monkeypatch):
    """A chief beside the workers: each would train alone, in one directory."""
    configure(monkeypatch, {"cluster": {"chief": ["a:1"], "worker": ["b:1"]}, "task": {"type": "worker"}})
    for name in ("auto", "multi_worker"):
        with pytest.raises(ValueError, match="the first is the chief"):
            Distribution(name)


def test_a_worker_of_several_does_not_train_alone(monkeypatch):
    configure(monkeypatch, {"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 1}})
    for name in ("none", "mirrored"):
        with pytest.raises(ValueError, match=f"--strategy={name}, but TF_CONFIG names several workers"):
            Distribution(name)


@pytest.mark.slow
def test_a_port_that_another_program_holds_is_one_clear_error(tmp_path):
    """In a process of its own: a strategy of several workers is made once, and first."""
    with socket.socket() as holder:
        holder.bind(("", 0))
        holder.listen()
        own = f"127.0.0.1:{holder.getsockname()[1]}"
        config = {"cluster": {"worker": [own, "127.0.0.1:9"]}, "task": {"type": "worker", "index": 0}}
        code = "from mmgl_tf.machines.distribution import Distribution; Distribution('multi_worker')"
        done = subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "TF_CONFIG": json.dumps(config)},
            capture_output=True,
            text=True,
            timeout=120,
        )
    assert done.returncode == 1
    assert f"ValueError: this worker cannot listen on the port of {own}" in done.stderr


def test_losses_are_told_only_where_there_are_other_workers():
    alone = Distribution("none")
    error = tf.errors.UnavailableError(None, None, "Socket closed")
    with pytest.raises(tf.errors.UnavailableError), alone.reporting_lost_workers():
        raise error
    alone.workers = 2
    with pytest.raises(WorkerLost, match="UnavailableError: Socket closed"), alone.reporting_lost_workers():
        raise error
    with (
        pytest.raises(WorkerLost, match="InternalError: cuDNN launch failure"),
        alone.reporting_lost_workers(),
    ):
        raise tf.errors.InternalError(None, None, "cuDNN launch failure\n\t [[node]]")
    with pytest.raises(tf.errors.InvalidArgumentError), alone.reporting_lost_workers():
        raise tf.errors.InvalidArgumentError(None, None, "a mistake of ours")
