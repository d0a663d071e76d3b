"""Decoded, resized images by index: memory-mapped from a cache, or decoded on demand.

Decoding and resizing cost more than all of the augmentation, so they are done once. Both ways return the
same pixels bit for bit. An array by index, rather than `tf.data.Dataset.cache()`, because the order of
images must stay a pure function of (seed, epoch).
"""

import contextlib
import errno
import json
import os
import secrets
import zlib
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from mmgl_tf.pipelines.decode import decode_with_grey
from mmgl_tf.pipelines.images.image_cache import (
    CachedImages,
    DamagedCacheError,
    build_cache,
    cache_key,
    mark_damaged,
    read_cache,
    remove_cache,
)
from mmgl_tf.pipelines.images.unreadable import Progress, find_unreadable, reason_unreadable
from mmgl_tf.pipelines.records import Sample

_NAMED = 20  # files that an error message lists


class ImageStore:
    """Images of a sequence of samples, by position. Made by `open_store`; may be read by many threads.

    `len(store)` is the number of samples. `store[i]` is image i, uint8, shape [H, W, 1] where its three
    channels are equal (most infrared images), else [H, W, 3]; a read-only view of the cache if there is
    one. Reading an image that was skipped is a ValueError.

    Attributes:
        usable: int64 [n], positions of the readable images, ascending.
        skipped: (path, reason) of each image left out; empty unless on_bad_image is "skip".
        cached: whether images come from a cache.
        notes: sentences that a run should print, e.g. that the disk is full and nothing is cached.
    """

    def __init__(
        self,
        paths: Sequence[str],
        height: int,
        width: int,
        unreadable: dict[int, str],
        images: CachedImages | None = None,
        directory: str = "",
        notes: Sequence[str] = (),
        resize: str = "lanczos",
    ):
        self._paths = list(paths)
        self._size = (height, width)
        self._unreadable = unreadable
        self._images = images
        self._directory = directory
        self._verified = np.zeros(len(self._paths), bool)
        self._repaired: dict[int, np.ndarray] = {}
        # A function, not eager operations: 2.7 against 3.8 ms, and the interpreter lock is free meanwhile.
        self._decode = tf.function(
            lambda encoded: decode_with_grey(encoded, height, width, resize),
            input_signature=[tf.TensorSpec((), tf.string)],
            autograph=False,
        )
        self.cached = images is not None
        self.notes = list(notes)
        self.skipped = [(self._paths[position], reason) for position, reason in sorted(unreadable.items())]
        self.usable = np.array([i for i in range(len(self._paths)) if i not in unreadable], np.int64)

    def __len__(self):
        return len(self._paths)

    def __getitem__(self, position: int) -> np.ndarray:
        position = range(len(self._paths))[position]  # negative positions, IndexError
        if position in self._unreadable:
            raise ValueError(
                f"Image {position} ({self._paths[position]}) was skipped: {self._unreadable[position]}. "
                "Draw positions from store.usable."
            )
        if self._images is None:
            return self._decode_file(position)
        if position in self._repaired:
            return self._repaired[position]
        channels, row, checksum = self._images.index[position].tolist()  # as image_cache's columns
        image = self._images.pixels[channels][row]
        # Once per image and run: file sizes are checked on opening, this finds altered or zeroed pages.
        if not self._verified[position]:
            if zlib.crc32(image) != checksum:
                mark_damaged(self._directory)
                self._repaired[position] = image = self._decode_file(position)
            self._verified[position] = True
        return image

    def _decode_file(self, position):
        path = self._paths[position]
        try:
            with open(path, "rb") as file, tf.device("CPU:0"):
                image, is_grey = self._decode(tf.constant(file.read()))
        except (OSError, tf.errors.InvalidArgumentError) as error:
            raise ValueError(
                f"{path} could be read when the run started, and cannot any more: "
                f"{reason_unreadable(path) or error}. Restore the file and start again."
            ) from error
        image = image.numpy()
        return image[..., :1] if is_grey else image


def open_store(
    samples: Sequence[Sample],
    height: int,
    width: int,
    cache: bool = True,
    cache_dir: str = "cache",
    on_bad_image: str = "fail",
    progress: Progress | None = None,
    resize: str = "lanczos",
) -> ImageStore:
    """Opens the store of these samples; decodes every image once, unless an earlier run did.

    With `cache` the pixels are kept below `cache_dir`: 0.12 MB per colour image of 288 x 144, a third for
    grey ones (SYSU-MM01: 3 to 4 GB). Without, only the list of unreadable files is kept there. Changed
    files, another size, filter or decoder lead to another cache; a damaged one is made anew; if it cannot be
    written (full disk), images are decoded on demand and `notes` says so.

    Args:
        samples: the images, in the order of the store's positions; may be empty.
        height: rows, in pixels.
        width: columns, in pixels.
        cache: whether to keep pixels.
        cache_dir: where; made if missing.
        on_bad_image: "fail" or "skip".
        progress: called as progress(done, total, seconds) while images are decoded.
        resize: key of `decode.FILTERS`.

    Returns:
        The store.

    Raises:
        ValueError: images are unreadable and on_bad_image is "fail" (names them all up to 20, and says
            how many), or no image at all is readable.
    """
    if on_bad_image not in ("fail", "skip"):
        raise ValueError(f"on_bad_image is {on_bad_image!r}, expected 'fail' or 'skip'.")
    paths = [sample.path for sample in samples]
    notes: list[str] = []
    images, directory = None, ""
    if cache and paths:
        key = cache_key(paths, height, width, resize)
        directory = os.path.join(cache_dir, f"images-{height}x{width}-{key[:16]}")
        images = _open_cache(directory, key, paths, height, width, progress, notes, resize)
    unreadable = images.unreadable if images else _unreadable_files(paths, cache_dir, progress)
    _judge(paths, unreadable, on_bad_image)
    return ImageStore(paths, height, width, unreadable, images, directory, notes, resize)


def _open_cache(directory, key, paths, height, width, progress, notes, resize):
    """The cache, built if need be; None, with a note, if it cannot be written."""
    try:
        try:
            images = read_cache(directory, key)
            if images is not None and any(reason_unreadable(paths[i]) is None for i in images.unreadable):
                # Permissions may have been given without a change of the file's time.
                notes.append(f"Files that were unreadable can be read now; {directory} was made anew.")
                remove_cache(directory)
                images = None
        except DamagedCacheError as error:
            notes.append(f"The image cache {directory} was damaged ({error}) and was made anew.")
            remove_cache(directory)
            images = None
        if images is None:
            build_cache(directory, key, paths, height, width, progress, resize)
            images = read_cache(directory, key)
        return images
    except (OSError, DamagedCacheError) as error:
        full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
        most = max(0.1, len(paths) * height * width * 3 / 1e9)
        notes.append(
            f"Images are not cached, but decoded whenever they are needed, which is slower: cannot write "
            f"{directory} ({error}). "
            + (f"Free up to {most:.1f} GB there, or " if full else "")
            + "choose another directory with --cache_dir."
        )
        return None


def _unreadable_files(paths, cache_dir, progress):
    """position -> reason, remembered below `cache_dir`, so that only the first run decodes them all."""
    if not paths:
        return {}
    record = os.path.join(cache_dir, f"unreadable-{cache_key(paths, 0, 0)[:16]}.json")
    try:
        with open(record, encoding="utf-8") as file:
            suspects = [int(position) for position in json.load(file)]
        reasons = {position: reason_unreadable(paths[position]) for position in suspects}
        return {position: reason for position, reason in reasons.items() if reason is not None}
    except (OSError, ValueError, TypeError, IndexError):
        pass  # no record, or a damaged one
    unreadable = find_unreadable(paths, progress)
    unfinished = f"{record}.{secrets.token_hex(4)}"
    try:
        os.makedirs(cache_dir, exist_ok=True)
        with open(unfinished, "w", encoding="utf-8") as file:
            json.dump(sorted(unreadable), file)
        os.replace(unfinished, record)
    except OSError:  # the next run looks again
        with contextlib.suppress(OSError):
            os.remove(unfinished)
    return unreadable


def _judge(paths, unreadable, on_bad_image):
    if not unreadable or (on_bad_image == "skip" and len(unreadable) < len(paths)):
        return
    listed = [f"  {paths[position]}: {reason}" for position, reason in sorted(unreadable.items())]
    if len(listed) > _NAMED:
        listed[_NAMED:] = [f"  ... and {len(listed) - _NAMED} more"]
    advice = (
        "No image is left. Check --data_dir."
        if len(unreadable) == len(paths)
        else "Replace or remove them, or leave them out with --on_bad_image=skip."
    )
    raise ValueError(
        f"{len(unreadable)} of {len(paths)} images cannot be read:\n" + "\n".join(listed) + f"\n{advice}"
    )
