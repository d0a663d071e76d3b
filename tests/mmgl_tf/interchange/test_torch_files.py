import zipfile

import ml_dtypes
import numpy as np
import pytest

from mmgl_tf.interchange.stored_tensor import StoredTensor
from mmgl_tf.interchange.torch_files import open_torch_file
from tests.mmgl_tf.interchange.torch_file import View, Writer, write

DTYPES = ["float32", "float64", "float16", "bfloat16", "int64", "uint8"]


def array(dtype="float32", shape=(2, 3, 4)):
    values = np.random.default_rng(3).uniform(0, 200, shape)
    return np.asarray(values).astype(ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype)


def values(path):
    with open_torch_file(path) as contents:
        return {name: tensor.read() for name, tensor in contents.items()}


@pytest.mark.parametrize("order", ["little", "big"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_numbers_of_every_type_come_back(tmp_path, dtype, order):
    tensors = {"a": array(dtype), "scalar": array(dtype, ()), "empty": array(dtype, (0, 3))}
    path = write(tmp_path / "x.pth", tensors, order=order)
    found = values(path)
    for name, tensor in tensors.items():
        assert found[name].dtype == tensor.dtype and found[name].shape == tensor.shape
        np.testing.assert_array_equal(found[name], tensor)
    with open_torch_file(path) as contents:
        assert contents["a"].dtype == dtype and contents["a"].shape == (2, 3, 4)


def test_views_with_strides_and_a_shared_storage_come_back(tmp_path):
    base = np.arange(24, dtype="f")
    views = {
        "whole": View(base, "0", (4, 6)),
        "transposed": View(base, "0", (6, 4), (1, 6)),
        "row": View(base, "0", (6,), offset=12),
        "column": View(base, "0", (4,), (6,), 2),
    }
    found = values(write(tmp_path / "x.pt", views))
    square = base.reshape(4, 6)
    for name, expected in zip(views, [square, square.T, square[2], square[:, 2]], strict=True):
        np.testing.assert_array_equal(found[name], expected)
        found[name][...] = 0  # what was read belongs to the reader
    np.testing.assert_array_equal(base, np.arange(24))


def test_a_file_cut_short_anywhere_is_refused(tmp_path):
    whole = write(tmp_path / "x.pth", {"a": array(), "b": {"c": 1}}).read_bytes()
    cut = tmp_path / "cut.pth"
    for end in range(0, len(whole), 7):
        cut.write_bytes(whole[:end])
        with pytest.raises(ValueError, match=r"cut\.pth is damaged or cut short .*compare its size"):
            values(cut)


def test_a_file_with_bytes_changed_is_read_or_refused_and_never_wrong(tmp_path):
    tensor = array()
    whole = write(tmp_path / "x.pth", {"a": tensor}).read_bytes()
    changed = tmp_path / "changed.pth"
    refused = 0
    for place in range(0, len(whole), 3):
        changed.write_bytes(whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :])
        try:
            found = values(changed)
        except ValueError:
            refused += 1
            continue
        np.testing.assert_array_equal(found["a"], tensor)
    assert refused > len(whole) / 6


def archive(path, entries, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as file:
        for name, content in entries:
            file.writestr(name, content)
    return path


def entries(tensor):
    writer = Writer()
    return [("x/data.pkl", writer.program({"a": tensor})), ("x/data/0", tensor.tobytes())]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda e: e[1:], "0 entries NAME/data.pkl"),
        (lambda e: [*e, ("y/data.pkl", b"")], "2 entries NAME/data.pkl"),
        (lambda e: [("../x/y/data.pkl", e[0][1])], "0 entries NAME/data.pkl"),
        (lambda e: e[:1], "it has no entry 'x/data/0'"),
        (lambda e: [e[0], ("x/data/0", e[1][1][:-4])], "has 92 bytes; 24 numbers of float32 are 96"),
        (lambda e: [e[0], ("x/data/0", e[1][1] + b"1234")], "has 100 bytes"),
        (lambda e: [*e, ("x/byteorder", "middle")], "byte order b'middle', expected little or big"),
        (lambda e: [*e, ("x/constants.pkl", "")], r"TorchScript program.*torch\.jit\.load"),
        (lambda e: [*e, ("x/code/__torch__.py", "")], "TorchScript program"),
        (lambda e: [("x/data.pkl", b"\x80\x02cos\nsystem\n."), e[1]], r"is not read: .*os\.system"),
        (lambda e: [("x/data.pkl", b""), e[1]], "is not read"),
    ],
)
def test_archives_of_another_kind_are_refused(tmp_path, change, reason):
    tensor = array()
    values(archive(tmp_path / "good.pth", entries(tensor)))
    with pytest.raises(ValueError, match=reason):
        values(archive(tmp_path / "bad.pth", change(entries(tensor))))


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_bombs_and_double_names_are_refused(tmp_path):
    tensor = np.zeros(10**6, "f")
    bomb = archive(tmp_path / "bomb.pth", entries(tensor), zipfile.ZIP_DEFLATED)
    assert bomb.stat().st_size < 10**4
    with pytest.raises(ValueError, match=r"compressed or encrypted, which torch\.save never does"):
        values(bomb)
    twice = archive(tmp_path / "twice.pth", [*entries(tensor), entries(tensor)[1]])
    with pytest.raises(ValueError, match="3 entries with 2 names"):
        values(twice)


def test_a_declared_size_that_is_not_there_is_refused(tmp_path):
    tensor = array()
    path = archive(tmp_path / "x.pth", entries(tensor))
    data = path.read_bytes()
    # The directory's two sizes of data/0, and those beside it.
    huge = data.replace((96).to_bytes(4, "little") * 2, (2**31).to_bytes(4, "little") * 2)
    assert huge != data
    path.write_bytes(huge)
    with pytest.raises(ValueError, match="larger than the file"):
        values(path)


def test_a_storage_that_declares_more_than_there_is_is_refused(tmp_path):
    path = write(tmp_path / "x.pth", {"a": View(np.zeros(4, "f"), "0", (2**40,), length=2**40)})
    with pytest.raises(ValueError, match=f"has 16 bytes; {2**40} numbers of float32"):
        values(path)


def test_weights_are_finite_floats():
    def of(value):
        return StoredTensor(value.shape, value.dtype.name, lambda: value).weights()

    for dtype in DTYPES[:4]:
        assert of(array(dtype)).dtype == np.float32
    for bad in (np.nan, np.inf, 1e300):
        with pytest.raises(ValueError, match="has 1 of 3 numbers that are not finite"):
            of(np.array([0.0, bad, 1.0]))
    with pytest.raises(ValueError, match="is int64; expected weights in one of float16"):
        of(array("int64"))


def test_files_of_torch_save_read_the_same(tmp_path):
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3, bias=False), torch.nn.BatchNorm2d(4))
    state = net.state_dict()
    state |= {
        "half": torch.randn(3).half(),
        "brain": torch.randn(3).bfloat16(),
        "double": torch.randn(2).double(),
    }
    state |= {
        "turned": torch.randn(3, 5).T,
        "own": torch.nn.Parameter(torch.randn(2)),
        "flag": torch.tensor([True]),
    }
    beside = {"net": state, "cmc": np.ones(3), "mAP": np.float64(0.4), "epoch": 7}
    for protocol in (2, 4):
        torch.save(beside, tmp_path / "x.t", pickle_protocol=protocol)
        with open_torch_file(tmp_path / "x.t") as contents:
            assert contents["epoch"] == 7
            assert contents["net"].keys() == state.keys()
            for name, tensor in contents["net"].items():
                expected = state[name].detach()
                assert tensor.dtype == str(expected.dtype).removeprefix("torch.")
                np.testing.assert_array_equal(tensor.read().astype("f8"), expected.double().numpy())


def test_torch_reads_what_the_tests_write(tmp_path):
    torch = pytest.importorskip("torch")
    tensors = {"a": array(), "b": array("bfloat16"), "c": View(np.arange(6, dtype="f"), "9", (3, 2), (1, 3))}
    found = torch.load(write(tmp_path / "x.pth", {"net": tensors, "epoch": 2}), weights_only=True)
    assert found["epoch"] == 2
    np.testing.assert_array_equal(found["net"]["a"].numpy(), tensors["a"])
    np.testing.assert_array_equal(found["net"]["c"].numpy(), np.arange(6).reshape(2, 3).T)


def test_older_formats_of_torch_say_how_to_save_again(tmp_path):
    torch = pytest.importorskip("torch")
    from mmgl_tf.interchange.checkpoint import open_checkpoint

    torch.save({"a": torch.zeros(2)}, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    with (
        pytest.raises(ValueError, match=r"format from before 1\.6.*torch\.save\(torch\.load\("),
        open_checkpoint(tmp_path / "old.pth"),
    ):
        pass
    net = torch.nn.Conv2d(1, 1, 1)
    torch.save(net, tmp_path / "whole.pth")
    with (
        pytest.raises(ValueError, match=r"refers to torch\.nn\.modules\.conv\.Conv2d.*weights alone"),
        open_checkpoint(tmp_path / "whole.pth"),
    ):
        pass
