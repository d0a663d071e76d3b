"""Threads over the images of a batch, shared by all batches of the process."""

import functools
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import cv2

from mmgl_tf.pipelines.batches.cores import available_cores


@functools.lru_cache
def _pool(threads):
    return ThreadPoolExecutor(threads, "images")


class WorkerThreads:
    """Runs one function on many things.

    OpenCV and NumPy release the interpreter lock in their kernels, so plain threads do. OpenCV's own threads
    are switched off for the whole process: they would fight with these. TensorFlow never lets go of the
    Python function behind a data set, so the threads belong to the process, not to the data set.

    Args:
        threads: 0 = one per core.
    """

    def __init__(self, threads: int = 0):
        cv2.setNumThreads(1)
        self._threads = threads or available_cores()

    def each(self, act: Callable, things: Sequence) -> None:
        """Calls act(thing) for each, and returns when all are done; which thread has which is left open.

        Raises:
            The first error of `act`.
        """
        if self._threads == 1:
            _run(act, things)
            return
        # Every n-th thing, so that each thread gets grey and colour images alike.
        shares = [things[first :: self._threads] for first in range(self._threads)]
        for done in [_pool(self._threads).submit(_run, act, share) for share in shares if share]:
            done.result()


def _run(act, things):
    for thing in things:
        act(thing)
