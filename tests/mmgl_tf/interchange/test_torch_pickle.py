import os
import pickle
import struct
import sys

import numpy as np
import pytest

from mmgl_tf.interchange.torch_objects import Storage, TensorRecord, Unread
from mmgl_tf.interchange.torch_pickle import MAX_BYTES, read_pickle
from tests.mmgl_tf.interchange.torch_file import Raw, View, Writer


def program(tree):
    return Writer().program(tree)


class Runs:
    """An object whose pickle calls a function when Python loads it."""

    def __init__(self, function, *arguments):
        self.made = (function, arguments)

    def __reduce__(self):
        return self.made


def test_what_torch_save_writes_is_read():
    tree = {"a": np.zeros((2, 3), "f"), "b": (1, -70000, 2**40, 1.5, None, True, "ü"), "c": [1, [2]]}
    found = read_pickle(program(tree))
    assert found["a"] == TensorRecord(Storage("0", "float32", 6), 0, (2, 3), (3, 1))
    assert found["b"] == tree["b"] and found["c"] == tree["c"]
    assert type(found) is dict and list(found) == ["a", "b", "c"]


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_scores_and_options_beside_the_weights_are_left_unread(protocol):
    import argparse
    from collections import Counter, OrderedDict, defaultdict

    beside = {
        "cmc": np.ones(3),
        "mAP": np.float64(0.5),
        "args": argparse.Namespace(lr=0.1),
        "schedule": Counter({3: 1}),
        "state": defaultdict(dict, {1: {}}),
        "seen": {1, 2},
        "epoch": 3,
        "pairs": OrderedDict([("a", 1)]),
    }
    found = read_pickle(pickle.dumps(beside, protocol))
    assert {key for key, value in found.items() if isinstance(value, Unread)} == set(beside) - {
        "epoch",
        "pairs",
    }
    assert found["epoch"] == 3 and found["pairs"] == {"a": 1}


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
@pytest.mark.parametrize("place", ["alone", "in a state dict", "as the storage's name"])
def test_no_program_runs(tmp_path, protocol, place):
    marker = tmp_path / "ran"
    attack = Runs(os.mkdir, str(marker))
    pickle.loads(pickle.dumps(attack, protocol))
    assert marker.exists(), "the attack must be able to work"
    marker.rmdir()
    data = pickle.dumps(attack, protocol)
    if place == "in a state dict":
        data = pickle.dumps({"conv1.weight": attack}, protocol)
    elif place == "as the storage's name":
        if protocol < 2:
            pytest.skip("the same instructions")
        body = data[:-1].split(b"\x95", 1)[-1][8:] if protocol >= 4 else data[2:-1]
        data = program({"conv1.weight": Raw(b"(" + Writer().of("storage") + body + b"tQ")})
    with pytest.raises(ValueError, match=r"mkdir|used by no file of weights"):
        read_pickle(data)
    assert not marker.exists()


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("os", "system"),
        ("posix", "system"),
        ("subprocess", "Popen"),
        ("builtins", "eval"),
        ("builtins", "exec"),
        ("builtins", "getattr"),
        ("__builtin__", "apply"),
        ("torch", "load"),
        ("torch.storage", "_load_from_bytes"),
        ("torch", "FloatStorage.__reduce__"),
        ("collections", "OrderedDict.fromkeys"),
        ("torch._utils", "os.system"),
        ("mmgl_tf.interchange.torch_pickle", "read_pickle"),
        ("numpy", "load"),
        ("runpy", "run_path"),
    ],
)
@pytest.mark.parametrize("how", ["GLOBAL", "STACK_GLOBAL", "memo"])
def test_every_other_name_is_refused_and_nothing_is_imported(module, name, how):
    modules = set(sys.modules)
    text = Writer().of
    reference = {
        "GLOBAL": f"c{module}\n{name}\n".encode(),
        "STACK_GLOBAL": text(module) + text(name) + b"\x93",
        "memo": text(name) + b"q\x07" + text(module) + b"q\x080h\x08h\x07\x93".replace(b"0", b""),
    }[how]
    with pytest.raises(ValueError, match=f"refers to {module}.{name}, which no file of weights needs"):
        read_pickle(b"\x80\x04" + reference + b"(" + text("x") + b"tR.")
    assert set(sys.modules) == modules


NAME = b"ccollections\nOrderedDict\n"
UNREAD = b"cargparse\nNamespace\n)R"


@pytest.mark.parametrize(
    ("instructions", "reason"),
    [
        (NAME + b"](K\x01K\x02\x86e\x85R", "OrderedDict is called with 1 arguments"),
        (NAME + b"K\x01R", "a OrderedDict|a Name is called"),
        (NAME + b"K\x01K\x02K\x03\x87R", "is called with 3 arguments"),
        (b"ctorch\nFloatStorage\n)R", "only names a type of storage"),
        (b")(K\x01tR", "a tuple is called"),
        (NAME + b")R)R", "a dict is called"),
        (UNREAD + b")R", "a Unread is called"),
        (NAME + b"}b", "a Name is given attributes"),
        (b"]}b", "a list is given attributes"),
        (b"i__builtin__\neval\n", "INST is used by no file"),
        (b"(cos\nsystem\no", "refers to os.system"),
        (b"\x82\x01", "EXT1 is used by no file"),
        (b"K\x01K\x02\x93", "a global's name is no text"),
        (b"K\x01\x93", "empty stack"),
        (b"(K\x010", "POP is used by no file"),
        (b"K\x01(R", "empty stack"),
        (b"h\x05", "memo 5 is read before it is written"),
        (b"q\x05", "empty stack"),
        (b"}(K\x01u", "items are set"),
        (b"](K\x01K\x02u", "items are set in a list"),
        (b"}K\x01a", "a dict is appended to"),
        (b"}K\x01\x85K\x02s", "a key of type tuple"),
        (b"}\x88K\x02s", "a key of type bool"),
        (b"t", "a MARK is missing"),
        (b"K\x01K\x02", "another number of objects"),
        (b"(K\x01", "another number of objects"),
        (b"K\x01Q", "storage is described in an unknown way"),
        (b"X\xff\xff\xff\x7fabc", "fails at byte"),
        (b"\x8d\xff\xff\xff\xff\xff\xff\xff\x7fabc", "fails at byte"),
        (b"\x8b\xff\xff\xff\x7fabc", "fails at byte"),
        (b"\xff", "fails at byte"),
        (b"X\x01\x00\x00\x00\x1bX\x01\x00\x00\x00a\x93", r"refers to \\x1b\.a"),
        (b"\x8b\xa0\x0f\x00\x00" + b"\x7f" * 4000, "LONG4 is used by no file"),
        (b"}\x8a\x08" + (2**61 - 1).to_bytes(8, "little") + b"Ns", r"below 2\^60"),
        (b"X\x02\x00\x00\x00\xff\xff", "fails at byte"),
    ],
)
def test_instructions_that_no_file_of_weights_has_are_refused(instructions, reason):
    with pytest.raises(ValueError, match=reason):
        read_pickle(b"\x80\x02" + instructions + b".")


@pytest.mark.parametrize(
    ("view", "reason"),
    [
        ({"shape": (7,)}, "does not fit the 6 numbers"),
        ({"shape": (3,), "strides": (3,)}, "does not fit"),
        ({"shape": (3,), "offset": 4}, "does not fit"),
        ({"shape": (2, 2), "strides": (2**62, 2**62)}, "does not fit"),
        ({"shape": (10**9,), "strides": (0,)}, "does not fit"),
        ({"shape": (2,), "strides": (-1,), "offset": 3}, "are not such"),
        ({"shape": (2,), "offset": -1}, "are not such"),
        ({"shape": (-2,)}, "are not such"),
        ({"shape": (True,)}, "are not such"),
        ({"shape": (2.0,)}, "are not such"),
        ({"shape": (2,), "strides": ()}, "shape .* strides"),
        ({"shape": (1,) * 9}, "shape .* strides"),
        ({"shape": (2,), "length": -6}, "of length -6"),
        ({"shape": (0,), "offset": 7}, "does not fit"),
    ],
)
def test_a_tensor_stays_inside_its_storage(view, reason):
    strides = view.pop("strides", (1,) * len(view["shape"]))
    with pytest.raises(ValueError, match=reason):
        read_pickle(program({"a": View(np.zeros(6, "f"), "0", strides=strides, **view)}))
    for shape, steps, offset in [((6,), (1,), 0), ((2,), (5,), 0), ((), (), 5), ((0, 3), (3, 1), 0)]:
        found = read_pickle(program({"a": View(np.zeros(6, "f"), "0", shape, steps, offset)}))
        assert found["a"].shape == shape


def test_a_program_cut_short_anywhere_is_refused():
    whole = program({"a": np.zeros((2, 3), "f"), "b": {"c": 1.5}})
    read_pickle(whole)
    for end in range(len(whole)):
        with pytest.raises(ValueError, match="description"):
            read_pickle(whole[:end])


def test_a_program_with_any_byte_changed_is_read_or_refused():
    whole = program({"a": np.zeros((2, 3), "f"), "b": {"c": 1.5}, "d": [np.float32(0).item(), (1, "x")]})
    for place in range(len(whole)):
        for byte in (0, ord("R"), ord("("), ord("b"), ord("c"), 0x93, 0xFF, whole[place] ^ 1):
            try:
                read_pickle(whole[:place] + bytes([byte]) + whole[place + 1 :])
            except ValueError:
                continue


def test_a_program_can_neither_be_endless_nor_take_endless_time():
    with pytest.raises(ValueError, match="more than"):
        read_pickle(b"\x80\x02" + b"N" * MAX_BYTES + b".")
    # Two to the power of sixty by reference: harmless until something walks or hashes it.
    doubled = b"".join(b"q" + bytes([i]) + b"h" + bytes([i]) + b"\x86" for i in range(60))
    assert len(read_pickle(b"\x80\x02)" + doubled + b".")) == 2
    with pytest.raises(ValueError, match="a key of type tuple"):
        read_pickle(b"\x80\x02})" + doubled + b"Ns.")
    with pytest.raises(ValueError, match="fails at byte"):
        read_pickle(b"\x80\x02" + b"r" + struct.pack("<I", 2**32 - 1) + b".")
