"""Reads the files that torch.save writes (the zip format, PyTorch 1.6 on) without PyTorch.

Such a file is a zip archive of uncompressed entries: NAME/data.pkl describes the objects, NAME/data/KEY are
the storages' numbers, NAME/byteorder says in which order their bytes are. Nothing is unpacked to disk.
"""

import contextlib
import os
import struct
import zipfile

import ml_dtypes
import numpy as np

from mmgl_tf.interchange.stored_tensor import StoredTensor
from mmgl_tf.interchange.torch_objects import TensorRecord
from mmgl_tf.interchange.torch_pickle import read_pickle

MAX_ENTRIES = 100_000  # a ResNet-50's file has 330
# What zipfile raises on damaged files, beside ValueError.
DAMAGE = (zipfile.BadZipFile, EOFError, NotImplementedError, struct.error)
RESAVE = "torch.save(torch.load(FILE, map_location='cpu', weights_only=True), NEW_FILE)"


@contextlib.contextmanager
def open_torch_file(path):
    """Opens a file of torch.save.

    Args:
        path: of the file.

    Yields:
        The saved object, a dict as a rule; tensors in it and in its dicts are `StoredTensor`, to be read
        while the file is open.

    Raises:
        ValueError: it is damaged, of another format, or holds what is no description of weights.
    """
    try:
        archive = zipfile.ZipFile(path)
    except DAMAGE as error:
        raise _damaged(path, error) from error
    with archive:
        yield _Archive(archive, os.path.getsize(path)).contents()


def _damaged(path, error):
    return ValueError(
        f"{path} is damaged or cut short ({error}); fetch or copy it again and compare its size"
    )


class _Archive:
    """An open archive whose directory has been checked.

    Args:
        archive: `zipfile.ZipFile`.
        size: bytes of the whole file.
    """

    def __init__(self, archive, size):
        self.archive = archive
        self.where = archive.filename
        entries = archive.infolist()
        self.entries = {entry.filename: entry for entry in entries}
        if len(self.entries) < len(entries) or len(entries) > MAX_ENTRIES:
            self._refuse(f"{len(entries)} entries with {len(self.entries)} names, at most {MAX_ENTRIES} fit")
        for entry in entries:
            packed = entry.compress_type != zipfile.ZIP_STORED or entry.file_size != entry.compress_size
            if packed or entry.flag_bits & 1:
                self._refuse(f"{entry.filename!r} is compressed or encrypted, which torch.save never does")
        if sum(entry.file_size for entry in entries) > size:
            self._refuse("its entries together are larger than the file")
        descriptions = [name for name in self.entries if name.endswith("/data.pkl") and name.count("/") == 1]
        if len(descriptions) != 1:
            self._refuse(
                f"{len(descriptions)} entries NAME/data.pkl where there is one in a file of torch.save"
            )
        self.root = descriptions[0].removesuffix("data.pkl")
        if any(
            name == f"{self.root}constants.pkl" or name.startswith(f"{self.root}code/")
            for name in self.entries
        ):
            raise ValueError(
                f"{self.where} is a TorchScript program, not a file of weights. In PyTorch: "
                "torch.save(torch.jit.load(FILE, map_location='cpu').state_dict(), NEW_FILE)"
            )
        order = self._read(f"{self.root}byteorder") if f"{self.root}byteorder" in self.entries else b"little"
        if order not in (b"little", b"big"):
            self._refuse(f"byte order {order[:20]!r}, expected little or big")
        self.order = "<" if order == b"little" else ">"

    def _refuse(self, reason):
        raise ValueError(
            f"{self.where} is no file of torch.save, or a damaged one: {reason}. "
            "In PyTorch: torch.save(model.state_dict(), NEW_FILE)"
        )

    def _read(self, name):
        if name not in self.entries:
            self._refuse(f"it has no entry {name!r}")
        try:
            return self.archive.read(name)
        except (*DAMAGE, OSError) as error:  # OSError: a damaged place is no place in the file
            raise _damaged(self.where, error) from error

    def contents(self):
        """The saved object with a `StoredTensor` for each tensor, two levels of dicts deep."""
        try:
            tree = read_pickle(self._read(f"{self.root}data.pkl"))
        except ValueError as error:
            raise ValueError(f"{self.where} is not read: {error}") from error
        return self._with_tensors(tree, 2, {})

    def _with_tensors(self, tree, depth, made):
        """`tree` converted; what it holds at many places is made once, since a file may name it at each."""
        if not (isinstance(tree, TensorRecord) or (isinstance(tree, dict) and depth)):
            return tree
        place = (id(tree), depth)
        if place not in made and isinstance(tree, TensorRecord):
            made[place] = StoredTensor(tree.shape, tree.storage.dtype, lambda: self._tensor(tree))
        elif place not in made:
            made[place] = {key: self._with_tensors(value, depth - 1, made) for key, value in tree.items()}
        return made[place]

    def _tensor(self, record):
        storage = record.storage
        dtype = np.dtype(ml_dtypes.bfloat16 if storage.dtype == "bfloat16" else storage.dtype)
        name = f"{self.root}data/{storage.key}"
        data = self._read(name)
        if len(data) != storage.length * dtype.itemsize:
            self._refuse(
                f"{name!r} has {len(data)} bytes; {storage.length} numbers of {storage.dtype} are "
                f"{storage.length * dtype.itemsize}"
            )
        # As whole numbers first: bfloat16 has no byte order of its own.
        raw = np.frombuffer(data, f"{self.order}u{dtype.itemsize}").astype(f"u{dtype.itemsize}")
        steps = [step * dtype.itemsize for step in record.strides]
        view = np.lib.stride_tricks.as_strided(raw.view(dtype)[record.offset :], record.shape, steps)
        return np.ascontiguousarray(view).reshape(record.shape)
