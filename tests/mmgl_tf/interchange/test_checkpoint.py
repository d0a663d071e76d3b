import json
import pickle
import tracemalloc

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import save_file

from mmgl_tf.interchange.checkpoint import open_checkpoint
from tests.mmgl_tf.interchange.torch_file import Raw, Writer, write

STATE = {"conv1.weight": np.arange(6, dtype="f").reshape(2, 3), "bn1.bias": np.ones(2, "f")}


def opened(path):
    with open_checkpoint(path) as checkpoint:
        found = {name: tensor.read() for name, tensor in checkpoint.tensors.items()}
        return found, checkpoint.wrapper, checkpoint.facts


def same(found):
    assert found.keys() == STATE.keys()
    for name, value in STATE.items():
        np.testing.assert_array_equal(found[name], value)


@pytest.mark.parametrize("suffix", [".pth", ".pt", ".t", ".tar", ".bin"])
@pytest.mark.parametrize("wrapper", ["", "net", "state_dict", "model", "model_state_dict", "weights"])
def test_a_state_dict_is_found_bare_or_wrapped(tmp_path, suffix, wrapper):
    tree = {wrapper: STATE, "epoch": 3, "arch": "resnet50", "options": {"lr": 0.1}} if wrapper else STATE
    found, name, facts = opened(write(tmp_path / f"x{suffix}", tree))
    same(found)
    assert name == wrapper
    assert facts == ({"epoch": 3, "arch": "resnet50"} if wrapper else {})


def test_a_known_wrapper_wins_over_others_and_several_unknown_ones_are_refused(tmp_path):
    other = {"conv1.weight": np.zeros((2, 3), "f")}
    found, name, _ = opened(write(tmp_path / "x.pth", {"ema": other, "state_dict": STATE}))
    same(found)
    assert name == "state_dict"
    with pytest.raises(
        ValueError, match="2 of them with tensors; expected a state dict, bare or under one of net"
    ):
        opened(write(tmp_path / "y.pth", {"ema": other, "student": STATE}))


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "module._orig_mod."])
def test_prefixes_of_wrappers_are_dropped_where_all_have_them(tmp_path, prefix):
    tree = {f"{prefix}{name}": value for name, value in STATE.items()}
    same(opened(write(tmp_path / "x.pth", tree))[0])
    save_file(tree, tmp_path / "x.safetensors")
    same(opened(tmp_path / "x.safetensors")[0])
    mixed = {"module.a": np.zeros(1, "f"), "b": np.zeros(1, "f")}
    assert opened(write(tmp_path / "mixed.pth", mixed))[0].keys() == mixed.keys()


@pytest.mark.parametrize("name", ["x.safetensors", "model.bin"])
def test_safetensors_are_read_with_every_type(tmp_path, name):
    tensors = {
        dtype: np.arange(6).reshape(2, 3).astype(dtype)
        for dtype in ("float32", "float64", "float16", "int64")
    }
    tensors["bfloat16"] = (np.arange(6).reshape(3, 2) / 3).astype(ml_dtypes.bfloat16)
    save_file(tensors, tmp_path / name, metadata={"format": "pt"})
    with open_checkpoint(tmp_path / name) as checkpoint:
        for dtype, tensor in checkpoint.tensors.items():
            assert (tensor.dtype, tensor.shape) == (dtype, tensors[dtype].shape)
            np.testing.assert_array_equal(tensor.read(), tensors[dtype])
        np.testing.assert_array_equal(
            checkpoint.tensors["bfloat16"].weights(), tensors["bfloat16"].astype("float32")
        )


def test_damaged_safetensors_are_refused(tmp_path):
    save_file(STATE, tmp_path / "x.safetensors")
    whole = (tmp_path / "x.safetensors").read_bytes()
    bad = tmp_path / "bad.safetensors"
    for end in range(0, len(whole), 5):
        bad.write_bytes(whole[:end])
        with pytest.raises(ValueError, match=r"bad\.safetensors is no \.safetensors file, or a damaged one"):
            opened(bad)
    size = int.from_bytes(whole[:8], "little")
    table = json.loads(whole[8 : 8 + size])
    for change in ({"data_offsets": [0, 2**40]}, {"shape": [2**40]}, {"dtype": "F64"}, {"dtype": "X1"}):
        header = json.dumps(table | {"bn1.bias": table["bn1.bias"] | change}).encode()
        bad.write_bytes(len(header).to_bytes(8, "little") + header + whole[8 + size :])
        with pytest.raises(ValueError, match="damaged one"):
            opened(bad)
    bad.write_bytes((2**62).to_bytes(8, "little") + whole[8:])
    with pytest.raises(ValueError, match="damaged one"):
        opened(bad)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "neither a zip file of torch.save nor"),
        (b"hello", "neither a zip file of torch.save nor"),
        (pickle.dumps({"a": 1}), "is a bare pickle, which is not read"),
        (b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02", r"from before 1\.6\. In PyTorch: torch\.save"),
        (b"\x89HDF\r\n\x1a\n", "is in HDF5.*--mode=finetune as --init"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        (b"<!DOCTYPE html>", "is a web page"),
        (b"PK\x03\x04", "damaged or cut short"),
        (b"PK\x05\x06" + bytes(18), "0 entries NAME/data.pkl"),
    ],
)
def test_other_files_are_told_apart(tmp_path, content, reason):
    (tmp_path / "x.pth").write_bytes(content)
    with pytest.raises(ValueError, match=reason):
        opened(tmp_path / "x.pth")


def test_one_dict_under_many_keys_takes_the_memory_of_one(tmp_path):
    count = 1200
    writer = Writer(ordered=False)
    inner = dict.fromkeys(map(str, range(count)), Raw(b"h\x02"))
    inner["0"] = Raw(writer.of(np.ones(1, "f")) + b"q\x02")
    shared = dict.fromkeys(range(count), Raw(b"h\x01"))
    shared[0] = Raw(writer.of(inner) + b"q\x01")
    path = write(tmp_path / "x.pth", STATE, program=writer.program(shared))
    assert path.stat().st_size < 50_000
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=f"{count} of them with tensors"):
            opened(path)
        assert tracemalloc.get_traced_memory()[1] < 4 * 2**20
    finally:
        tracemalloc.stop()


def test_an_endless_number_beside_the_weights_is_refused_with_the_file_s_name(tmp_path):
    number = Raw(b"\x8b\xa0\x0f\x00\x00" + b"\x7f" * 4000)
    with pytest.raises(ValueError, match=r"x\.pth is not read: .*LONG4"):
        opened(write(tmp_path / "x.pth", {"net": STATE, "seed": number}))


def test_files_that_hold_no_state_dict_or_are_not_there(tmp_path):
    with pytest.raises(ValueError, match=r"is no file; give a \.pth"):
        opened(tmp_path / "nowhere.pth")
    with pytest.raises(ValueError, match="is no file"):
        opened(tmp_path)
    with pytest.raises(ValueError, match="holds a list; expected a state dict"):
        opened(write(tmp_path / "list.pth", [1, 2]))
    with pytest.raises(ValueError, match="holds a StoredTensor; expected a state dict"):
        opened(write(tmp_path / "tensor.pth", np.zeros(3, "f")))
    with pytest.raises(ValueError, match=r"holds \['a', 'epoch'\], 0 of them with tensors"):
        opened(write(tmp_path / "none.pth", {"epoch": 3, "a": {}}))
