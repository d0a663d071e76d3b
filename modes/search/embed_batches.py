"""Images embedded batch by batch: files are read ahead, unreadable ones left out or refused."""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from mmgl_tf.modes.search.embed_files import named
from mmgl_tf.pipelines.images.unreadable import reason_unreadable
from mmgl_tf.training.guards import NonFiniteNetwork

_READERS = 8  # threads that wait for the disk or the network


class Embeddings(NamedTuple):
    """Some images' embeddings.

    Attributes:
        positions: int64 [n], of the embedded images among the files.
        embeddings: float32 [n, D], unit length.
        skipped: list of (position, reason) of the others.
    """

    positions: np.ndarray
    embeddings: np.ndarray
    skipped: list


def embedded_batches(source, files, batch_size, on_bad_image, first=0, progress=None):
    """Embeds files in their order; at most two batches are in memory.

    Args:
        source: of `mmgl_tf.modes.search.embed_source.open_source`.
        files: list of `mmgl_tf.modes.search.embed_files.ImageFile`.
        batch_size: images in a batch.
        on_bad_image: "fail" or "skip".
        first: the position of the first file to embed.
        progress: called as progress(done, total, seconds) after each batch, counted from `first`; or None.

    Yields:
        `Embeddings` of each batch.

    Raises:
        ValueError: an image is unreadable and on_bad_image is "fail", or an embedding is not finite.
    """
    started = time.perf_counter()
    starts = range(first, len(files), batch_size)
    with ThreadPoolExecutor(_READERS) as readers:

        def read(start):
            return [readers.submit(_content, file.path) for file in files[start : start + batch_size]]

        ahead = read(first) if len(starts) else []
        for start in starts:
            batch, ahead = ahead, read(start + batch_size)
            contents = {start + place: job.result() for place, job in enumerate(batch)}
            found = _embed(source, files, contents, on_bad_image)
            if progress:
                done = start + len(batch) - first
                progress(done, len(files) - first, time.perf_counter() - started)
            yield found


def _embed(source, files, contents, on_bad_image):
    """One batch; `contents` is position -> bytes, or None for a file that cannot be read."""
    skipped = [
        (position, reason_unreadable(files[position].path) or "could not be read for a moment")
        for position, content in contents.items()
        if content is None
    ]
    good = {position: content for position, content in contents.items() if content is not None}
    try:
        found = _run(source, files, good)
    except (tf.errors.InvalidArgumentError, ValueError):
        # Only now is it worth decoding them one by one.
        reasons = {position: reason_unreadable(files[position].path) for position in good}
        bad = [(position, reason) for position, reason in reasons.items() if reason is not None]
        if not bad:
            raise
        skipped = sorted(skipped + bad)
        good = {position: content for position, content in good.items() if reasons[position] is None}
        found = None if on_bad_image == "fail" else _run(source, files, good)
    refuse_skipped([(files[position].path, reason) for position, reason in skipped], on_bad_image)
    return Embeddings(np.array(list(good), np.int64), found, skipped)


def refuse_skipped(skipped, on_bad_image):
    """Refuses unreadable images where they are not to be skipped.

    Args:
        skipped: list of (path, reason).
        on_bad_image: "fail" or "skip".

    Raises:
        ValueError: there are some and on_bad_image is "fail".
    """
    if skipped and on_bad_image == "fail":
        listed = "".join(f"\n  {path!a}: {reason}" for path, reason in skipped[:50])
        raise ValueError(
            f"{len(skipped)} image{'s' if len(skipped) > 1 else ''} cannot be read:{listed}\n"
            "Replace or remove them, or leave them out with --on_bad_image=skip; then the command goes on "
            "from here. There may be more further on."
        )


def _run(source, files, contents):
    """float32 [n, D] of position -> bytes."""
    if not contents:
        return np.empty((0, source.num_features), np.float32)
    modality = np.array([files[position].modality for position in contents], np.int32)
    found = source.embed(list(contents.values()), np.maximum(modality, 0))
    bad = ~np.isfinite(found).all(axis=1)
    if bad.any():
        paths = [files[position].path for position in np.array(list(contents))[bad]]
        raise NonFiniteNetwork(
            f"{len(paths)} embeddings are not finite, of {named(paths)}: the network diverged. Train it with "
            "a smaller --learning_rate or --clip_norm=10."
        )
    return found


def _content(path):
    try:
        with open(path, "rb") as file:
            return file.read()
    except (OSError, ValueError):  # a listed name may hold a zero byte
        return None
