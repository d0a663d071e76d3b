"""Which image files cannot be decoded, and why; asked before a run instead of in the middle of it."""

import os
import time
from collections.abc import Callable, Iterator, Sequence

import tensorflow as tf

from mmgl_tf.pipelines.decode import decode_pixels

Progress = Callable[[int, int, float], None]


def find_unreadable(paths: Sequence[str], progress: Progress | None = None) -> dict[int, str]:
    """Decodes every file once.

    Args:
        paths: image files.
        progress: called as progress(done, total, seconds) now and then, and at the end.

    Returns:
        position in `paths` -> reason, for each file that is missing or does not decode; ascending.
    """
    readable: set[int] = set()
    for positions, _ in decoded_batches(paths, _nothing, progress):
        readable.update(positions.tolist())
    # Asked again for the reason; a file that reads at the second attempt (memory, network) is no problem.
    reasons = {
        position: reason_unreadable(path) for position, path in enumerate(paths) if position not in readable
    }
    return {position: reason for position, reason in reasons.items() if reason is not None}


def reason_unreadable(path: str) -> str | None:
    """Why a file cannot be decoded, in a few words; None if it can."""
    if not os.path.exists(path):
        return "no such file"
    if os.path.isdir(path):
        return "a directory"
    if os.path.getsize(path) == 0:
        return "empty (0 bytes)"
    try:
        with open(path, "rb") as file, tf.device("CPU:0"):
            decode_pixels(file.read())
    except OSError as error:
        return error.strerror or str(error)
    except tf.errors.OpError as error:
        # Without the name of the operation in front and behind.
        message = error.message.rpartition("}}")[2].partition("[Op:")[0].strip()
        return "truncated or no image: " + (message.splitlines() or ["undecodable"])[0]
    return None


def decoded_batches(
    paths: Sequence[str], decode: Callable, progress: Progress | None = None
) -> Iterator[tuple]:
    """Decodes files on all cores, in order, leaving out those that fail.

    Args:
        paths: image files.
        decode: encoded bytes (string scalar) -> tensor or tuple of tensors, as TensorFlow operations.
        progress: called as progress(done, total, seconds) about once a second, and at the end.

    Yields:
        (positions int64 [b], whatever `decode` returns, stacked) as NumPy arrays, b <= 64.
    """
    started = last = time.monotonic()

    def load(position, path):
        return position, decode(tf.io.read_file(path))

    # Bytes, and an explicit type: a name need not be UTF-8, and an empty list would become float.
    names = tf.constant([os.fsencode(path) for path in paths], tf.string, shape=(len(paths),))
    dataset = (
        tf.data.Dataset.from_tensor_slices((tf.range(len(paths), dtype=tf.int64), names))
        .map(load, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
        .ignore_errors()
        .batch(64)
        .prefetch(1)
    )
    for batch in dataset.as_numpy_iterator():
        yield batch
        now = time.monotonic()
        if progress and now - last >= 1.0:
            last = now
            progress(int(batch[0][-1]) + 1, len(paths), now - started)
    if progress:
        progress(len(paths), len(paths), time.monotonic() - started)


def _nothing(encoded):
    """Decodes, and keeps only that it worked."""
    return tf.size(decode_pixels(encoded))
