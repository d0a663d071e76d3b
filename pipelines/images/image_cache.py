"""Decoded images in memory-mapped files: one directory per list of images, size and decoder.

A directory holds grey.npy (uint8 [n, H, W, 1]), colour.npy (uint8 [m, H, W, 3]), index.npy (where each
image is, with its checksum) and manifest.json. It is written under another name and renamed when it is
complete, so that what has the final name is whole, however many runs build it at once.
"""

import contextlib
import hashlib
import io
import json
import os
import secrets
import shutil
import socket
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from mmgl_tf.pipelines.decode import DECODER_VERSION, FILTERS, decode_with_grey
from mmgl_tf.pipelines.images.unreadable import Progress, decoded_batches, reason_unreadable

FILES = {1: "grey.npy", 3: "colour.npy"}
# Columns of index.npy; channels is 0 for an unreadable image.
CHANNELS, ROW, CHECKSUM = range(3)


class DamagedCacheError(ValueError):
    """A cache directory is incomplete or was altered; it has to be made anew."""


@dataclass(frozen=True)
class CachedImages:
    """An opened cache.

    Attributes:
        pixels: channels (1 or 3) -> uint8 [images, H, W, channels], memory-mapped, read-only.
        index: int64 [images, 3]: channels, row, CRC-32 of the pixels.
        unreadable: position -> reason.
    """

    pixels: dict[int, np.ndarray]
    index: np.ndarray
    unreadable: dict[int, str]


def cache_key(paths: Sequence[str], height: int, width: int, resize: str = "lanczos") -> str:
    """Digest of what pixels depend on: files (path, size, time of change), image size, filter, decoder."""
    made_by = f"{DECODER_VERSION} {tf.__version__} {FILTERS[resize]} {height} {width}"
    digest = hashlib.sha256(made_by.encode())
    for path in paths:
        try:
            status = os.stat(path)
            state = (status.st_size, status.st_mtime_ns)
        except OSError:
            state = (-1, -1)
        digest.update(os.fsencode(os.path.abspath(path)) + b"\0%d %d\n" % state)
    return digest.hexdigest()


def read_cache(directory: str, key: str) -> CachedImages | None:
    """Opens a cache directory.

    Returns:
        The images; None if there is no such directory.

    Raises:
        DamagedCacheError: a file is missing, cut short or altered, or belongs to another key.
    """
    if not os.path.isdir(directory):
        return None
    try:
        with open(os.path.join(directory, "manifest.json"), encoding="utf-8") as file:
            manifest = json.load(file)
        if manifest["key"] != key:
            raise DamagedCacheError("it belongs to other images")
        index = np.load(os.path.join(directory, "index.npy"))
        if zlib.crc32(index.tobytes()) != manifest["index_checksum"]:
            raise DamagedCacheError("index.npy was altered")
        pixels = {
            # A plain array over the map: slices of np.memmap itself cost several times as much.
            channels: np.load(os.path.join(directory, name), mmap_mode="r").view(np.ndarray)
            for channels, name in FILES.items()
        }
        for channels, name in FILES.items():
            rows = np.count_nonzero(index[:, CHANNELS] == channels)
            if len(pixels[channels]) != rows:
                raise DamagedCacheError(f"{name} does not hold {rows} images")
        unreadable = {int(position): reason for position, reason in manifest["unreadable"].items()}
    except DamagedCacheError:
        raise
    except (OSError, ValueError, KeyError, TypeError, IndexError, EOFError) as error:
        raise DamagedCacheError(str(error)) from error
    return CachedImages(pixels, index, unreadable)


def build_cache(
    directory: str,
    key: str,
    paths: Sequence[str],
    height: int,
    width: int,
    progress: Progress | None,
    resize: str = "lanczos",
) -> None:
    """Decodes all images into a cache directory; another run may have been faster, then its result stays.

    Raises:
        OSError: the directory cannot be written, e.g. because the disk is full; nothing is left behind.
    """
    parent, name = os.path.split(os.path.abspath(directory))
    os.makedirs(parent, exist_ok=True)
    _remove_abandoned(parent, name)
    unfinished = os.path.join(parent, f"{name}.{_owner()}.{secrets.token_hex(4)}")
    os.mkdir(unfinished)
    try:
        _write(unfinished, key, paths, height, width, progress, resize)
        # rename refuses a target that is not empty: another run was faster, with the same pixels.
        with contextlib.suppress(FileExistsError):
            _rename(unfinished, directory)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def remove_cache(directory: str) -> None:
    """Removes a cache directory such that no other run finds half of it."""
    aside = f"{os.path.abspath(directory)}.{_owner()}.{secrets.token_hex(4)}"
    with contextlib.suppress(FileNotFoundError):
        os.rename(directory, aside)
    shutil.rmtree(aside, ignore_errors=True)


def mark_damaged(directory: str) -> None:
    """Makes the next run build this cache anew, while this one goes on reading it."""
    with contextlib.suppress(OSError):
        os.remove(os.path.join(directory, "manifest.json"))


def _write(directory, key, paths, height, width, progress, resize):
    index = np.zeros((len(paths), 3), np.int64)
    with contextlib.ExitStack() as stack:
        arrays = {
            channels: stack.enter_context(
                _GrowingArray(os.path.join(directory, name), height, width, channels)
            )
            for channels, name in FILES.items()
        }

        def keep(position, image, is_grey):
            channels = 1 if is_grey else 3
            data = image[..., :channels].tobytes()
            index[position] = channels, arrays[channels].append(data), zlib.crc32(data)

        def decode(encoded):
            return decode_with_grey(encoded, height, width, resize)

        for positions, (images, greys) in decoded_batches(paths, decode, progress):
            for position, image, is_grey in zip(positions, images, greys, strict=True):
                keep(position, image, is_grey)
        unreadable = {}
        for position in np.flatnonzero(index[:, CHANNELS] == 0).tolist():
            reason = reason_unreadable(paths[position])
            if reason is None:  # it failed for a passing reason: memory, network
                with open(paths[position], "rb") as file:
                    image, is_grey = decode(file.read())
                keep(position, image.numpy(), bool(is_grey))
            else:
                unreadable[position] = reason
    np.save(os.path.join(directory, "index.npy"), index)
    manifest = {
        "key": key,
        "index_checksum": zlib.crc32(index.tobytes()),
        "unreadable": unreadable,
    }
    with open(os.path.join(directory, "manifest.json"), "w", encoding="utf-8") as file:
        json.dump(manifest, file)
    for name in (*FILES.values(), "index.npy", "manifest.json"):
        _flush_to_disk(os.path.join(directory, name))


class _GrowingArray:
    """An .npy file written image by image.

    Written, not mapped: a full disk is then an OSError; a write to a map would end the process.
    """

    def __init__(self, path, height, width, channels):
        self.shape = (height, width, channels)
        self.count = 0
        self.file = open(path, "wb")  # noqa: SIM115 (closed in __exit__)
        self.file.write(self._header())

    def _header(self):
        # NumPy pads headers such that the first axis may grow in place.
        header = io.BytesIO()
        description = {"descr": "|u1", "fortran_order": False, "shape": (self.count, *self.shape)}
        np.lib.format.write_array_header_1_0(header, description)
        return header.getvalue()

    def append(self, data):
        """Adds an image; returns its row."""
        self.file.write(data)
        self.count += 1
        return self.count - 1

    def __enter__(self):
        return self

    def __exit__(self, *error):
        with self.file:
            if error[0] is None:
                self.file.seek(0)
                self.file.write(self._header())


def _rename(source, target):
    try:
        os.rename(source, target)
    except OSError as error:
        if os.path.isdir(target):
            raise FileExistsError(target) from error
        raise


def _flush_to_disk(path):
    # Without it a power cut may leave a file of the right size with zeros in it.
    with open(path, "rb") as file:
        os.fsync(file.fileno())


def _owner():
    return f"{socket.gethostname()}-{os.getpid()}"


def _remove_abandoned(parent, name):
    """Removes what killed runs of this host left of this cache."""
    for entry in os.listdir(parent):
        owner = entry.removeprefix(name + ".").rpartition(".")[0]
        host, _, process = owner.rpartition("-")
        if not entry.startswith(name + ".") or host != socket.gethostname() or not process.isdecimal():
            continue
        try:
            os.kill(int(process), 0)
        except ProcessLookupError:
            shutil.rmtree(os.path.join(parent, entry), ignore_errors=True)
        except PermissionError:
            pass  # alive, and another user's
