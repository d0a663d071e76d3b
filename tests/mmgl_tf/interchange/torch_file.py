"""Writes files as torch.save writes them, instruction by instruction, without PyTorch."""

import struct
import zipfile

import ml_dtypes
import numpy as np

STORAGES = {
    np.dtype("float32"): "FloatStorage",
    np.dtype("float64"): "DoubleStorage",
    np.dtype("float16"): "HalfStorage",
    np.dtype(ml_dtypes.bfloat16): "BFloat16Storage",
    np.dtype("int64"): "LongStorage",
    np.dtype("uint8"): "ByteStorage",
}


class View:
    """A tensor that is a strided view of a storage, which several may share."""

    def __init__(self, storage, key, shape, strides=None, offset=0, length=None):
        self.storage, self.key, self.shape, self.offset = np.ravel(storage), key, tuple(shape), offset
        steps = np.cumprod([1, *self.shape[:0:-1]])[::-1].tolist() if self.shape else []
        self.strides = tuple(steps if strides is None else strides)
        self.length = self.storage.size if length is None else length


class Raw(bytes):
    """Instructions to take as they are."""


class Writer:
    """Pickles a tree of dicts, tuples, lists, numbers, text, arrays and `View`s; keeps the storages."""

    def __init__(self, ordered=True):
        self.storages = {}
        self.ordered = ordered

    def program(self, tree):
        return b"\x80\x02" + self.of(tree) + b"."

    def of(self, value):
        if isinstance(value, Raw):
            return bytes(value)
        if isinstance(value, (np.ndarray, View)):
            return self.tensor(value)
        if isinstance(value, dict):
            items = b"".join(self.of(key) + self.of(item) for key, item in value.items())
            made = b"ccollections\nOrderedDict\n)R" if self.ordered else b"}"
            # torch.save gives a state dict its versions as an attribute.
            metadata = b"}" + self.of("_metadata") + b"}sb" if self.ordered else b""
            return made + b"(" + items + b"u" + metadata
        if isinstance(value, (tuple, list)):
            inside = b"(" + b"".join(map(self.of, value))
            return inside + b"t" if isinstance(value, tuple) else b"]" + inside + b"e"
        if value is None or isinstance(value, bool):
            return {None: b"N", True: b"\x88", False: b"\x89"}[value]
        if isinstance(value, float):
            return b"G" + struct.pack(">d", value)
        if isinstance(value, int):
            size = value.bit_length() // 8 + 1
            return b"\x8a" + bytes([size]) + value.to_bytes(size, "little", signed=True)
        text = value.encode()
        return b"X" + struct.pack("<I", len(text)) + text

    def tensor(self, value):
        if isinstance(value, np.ndarray):
            value = View(value, str(len(self.storages)), value.shape)
        self.storages[value.key] = value.storage
        kind = f"ctorch\n{STORAGES[value.storage.dtype]}\n".encode()
        pid = b"(" + self.of("storage") + kind + self.of(value.key) + self.of("cpu")
        pid += self.of(value.length) + b"tQ"
        rest = self.of(value.offset) + self.of(value.shape) + self.of(value.strides)
        hooks = b"\x89ccollections\nOrderedDict\n)R"
        return b"ctorch._utils\n_rebuild_tensor_v2\n(" + pid + rest + hooks + b"tR"


def write(path, tree, ordered=True, order="little", program=None, extra=None):
    """A file of torch.save with a tree in it; `program` replaces its pickle."""
    writer = Writer(ordered)
    data = writer.program(tree)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{path.stem}/data.pkl", data if program is None else program)
        archive.writestr(f"{path.stem}/byteorder", order)
        for key, storage in writer.storages.items():
            ordered_bytes = storage.astype(storage.dtype.newbyteorder("<" if order == "little" else ">"))
            archive.writestr(f"{path.stem}/data/{key}", ordered_bytes.tobytes())
        archive.writestr(f"{path.stem}/version", "3\n")
        for name, content in (extra or {}).items():
            archive.writestr(name, content)
    return path
