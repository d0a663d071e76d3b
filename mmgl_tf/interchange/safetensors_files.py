"""Reads .safetensors files. The format is a table and numbers, no program; the package checks the table."""

import contextlib

import ml_dtypes  # noqa: F401 - makes NumPy know bfloat16, which the package asks it for by name
from safetensors import SafetensorError, safe_open

from mmgl_tf.interchange.stored_tensor import StoredTensor

DTYPES = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "I8": "int8",
    "U8": "uint8",
    "BOOL": "bool",
}


@contextlib.contextmanager
def open_safetensors(path):
    """Opens a .safetensors file.

    Args:
        path: of the file.

    Yields:
        {name: `StoredTensor`}, to be read while the file is open.

    Raises:
        ValueError: it is damaged or of another format.
    """
    try:
        opened = safe_open(path, framework="np")
    except SafetensorError as error:
        raise ValueError(
            f"{path} is no .safetensors file, or a damaged one ({error}); fetch or copy it again"
        ) from error
    with opened as file:
        yield {name: _stored(file, name) for name in file.keys()}  # noqa: SIM118 - it is no dict


def _stored(file, name):
    about = file.get_slice(name)
    dtype = about.get_dtype()
    return StoredTensor(tuple(about.get_shape()), DTYPES.get(dtype, dtype), lambda: file.get_tensor(name))
