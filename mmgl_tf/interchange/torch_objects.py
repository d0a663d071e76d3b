"""What may stand in the pickle of a PyTorch file, as inert objects: names, storages, tensors."""

import math
from dataclasses import dataclass

from mmgl_tf.interchange.plain_text import plain

MAX_AXES = 8

# PyTorch's storage classes: the number type of what they hold.
STORAGES = {
    "FloatStorage": "float32",
    "DoubleStorage": "float64",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "BoolStorage": "bool",
}


@dataclass(frozen=True)
class Name:
    """A global that the file refers to: two strings."""

    module: str
    name: str

    def __str__(self):
        return plain(f"{self.module}.{self.name}")


@dataclass(frozen=True)
class Storage:
    """A block of numbers elsewhere in the file.

    Attributes:
        key: its name there.
        dtype: number type, a value of `STORAGES`.
        length: how many numbers.
    """

    key: str
    dtype: str
    length: int


@dataclass(frozen=True)
class TensorRecord:
    """A strided view of a storage; shape, strides and offset (in numbers) are known to lie inside."""

    storage: Storage
    offset: int
    shape: tuple
    strides: tuple


class Unread:
    """Stands for a value that is of no use here, such as a NumPy score beside the weights."""


# Values that training scripts put beside the weights. They are recognised so that the weights can be read.
UNREAD = {
    Name(module, name)
    for module, names in {
        "numpy": "ndarray dtype",
        "numpy.core.multiarray": "_reconstruct scalar",
        "numpy._core.multiarray": "_reconstruct scalar",
        "numpy.core.numeric": "_frombuffer",
        "numpy._core.numeric": "_frombuffer",
        "_codecs": "encode",
        "argparse": "Namespace",
        "collections": "defaultdict Counter",
        "builtins": "set list dict int float",
        "__builtin__": "set list dict int float",
        "pathlib": "PosixPath WindowsPath",
        "torch": "device Size",
    }.items()
    for name in names.split()
}


def _ordered_dict():
    """Made empty, as Python 3 writes it. A list of pairs, remembered once, would be copied at each call."""
    return {}


def _tensor(storage, offset, shape, strides, *rest):
    """The arguments of torch._utils._rebuild_tensor_v2; `rest` is requires_grad and hooks."""
    counts = (offset, *_whole(shape), *_whole(strides))
    if not isinstance(storage, Storage) or any(type(n) is not int or n < 0 for n in counts):
        raise ValueError("a tensor's storage, offset, shape or strides are not such")
    if len(shape) != len(strides) or len(shape) > MAX_AXES or len(rest) > 3:
        raise ValueError(f"a tensor has the shape {shape} and the strides {strides}")
    count = math.prod(shape)
    last = (
        offset + sum((n - 1) * step for n, step in zip(shape, strides, strict=True)) if count else offset - 1
    )
    if count > storage.length or last >= storage.length:
        raise ValueError(
            f"a tensor of shape {shape}, strides {strides} and offset {offset} does not fit the "
            f"{storage.length} numbers of its storage {storage.key!r}"
        )
    return TensorRecord(storage, offset, tuple(shape), tuple(strides))


def _whole(value):
    return value if isinstance(value, tuple) else (None,)


def _parameter(data, *rest):
    """The arguments of torch._utils._rebuild_parameter."""
    if not isinstance(data, TensorRecord) or len(rest) > 2:
        raise ValueError("a parameter is made of something else than a tensor")
    return data


CALLED = {
    Name("collections", "OrderedDict"): _ordered_dict,
    Name("torch._utils", "_rebuild_tensor_v2"): _tensor,
    Name("torch._utils", "_rebuild_parameter"): _parameter,
}


def dict_key(value):
    """The value, where it may be a key: text, or a whole number small enough to be its own hash."""
    if type(value) not in (str, int):
        raise ValueError(f"a dict has a key of type {type(value).__name__}; expected text or a whole number")
    if type(value) is int and abs(value) >= 2**60:
        raise ValueError(f"a dict has the key {value}; expected text or a whole number below 2^60")
    return value
