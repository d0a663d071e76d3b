"""What each of several workers on a machine is told."""

import json

import pytest

from mmgl_tf.machines.local_environment import gpu_shares, local_environment


def test_each_knows_its_place_and_keeps_the_rest():
    given = {"A": "b", "PYTHONUNBUFFERED": "", "CUDA_VISIBLE_DEVICES": "0,1"}
    first, second = (local_environment(index, [11, 12], given) for index in range(2))
    assert first["A"] == second["A"] == "b" and given["CUDA_VISIBLE_DEVICES"] == "0,1"
    config = json.loads(second["TF_CONFIG"])
    assert config["task"] == {"type": "worker", "index": 1}
    assert config["cluster"] == {"worker": ["127.0.0.1:11", "127.0.0.1:12"]}
    assert (first["CUDA_VISIBLE_DEVICES"], second["CUDA_VISIBLE_DEVICES"]) == ("0", "1")
    assert second["PYTHONUNBUFFERED"] == "", "what is set stays"
    assert local_environment(1, [11, 12], {})["PYTHONUNBUFFERED"] == "1"


@pytest.mark.parametrize(
    ("given", "direct"),
    [
        ({}, "127.0.0.1"),
        ({"no_proxy": "a,b"}, "127.0.0.1,a,b"),
        ({"no_proxy": "a,b", "no_grpc_proxy": "c"}, "127.0.0.1,c"),
    ],
)
def test_no_proxy_stands_between_the_workers(given, direct):
    assert local_environment(0, [1], given)["no_grpc_proxy"] == direct


@pytest.mark.parametrize(
    ("named", "machine", "count", "expected"),
    [
        (None, 0, 2, None),
        ("", 4, 2, None),
        (None, 1, 2, ["", ""]),
        (None, 4, 2, ["0,1", "2,3"]),
        (None, 3, 2, ["0", "1"]),
        ("5, GPU-8f,7,1", 8, 2, ["5,GPU-8f", "7,1"]),
        ("3", 8, 1, ["3"]),
        ("-1", 8, 2, None),
        ("0,1,-1,2", 8, 2, ["0", "1"]),
    ],
)
def test_each_has_gpus_of_its_own_and_all_have_as_many(tmp_path, named, machine, count, expected):
    for number in range(machine):
        (tmp_path / f"0000:{number:02d}:00.0").mkdir()
    given = {} if named is None else {"CUDA_VISIBLE_DEVICES": named}
    assert gpu_shares(count, given, tmp_path) == expected


def test_a_machine_without_the_driver_has_none(tmp_path):
    assert gpu_shares(2, {}, tmp_path / "absent") is None
