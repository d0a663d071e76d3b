"""How many requests run at once, and how many wait; more are sent away, so that memory stays bounded."""

import contextlib
import threading

from mmgl_tf.serving.stand_in.refusal import Refusal


class Gate:
    """Lets requests in that have arrived whole.

    Args:
        running: requests that run at once.
        waiting: requests that wait for them.
    """

    def __init__(self, running, waiting):
        self._running = threading.Semaphore(running)
        self._places = threading.Semaphore(running + waiting)
        self._size = running + waiting

    @contextlib.contextmanager
    def place(self):
        """Held from when a request has arrived until it is answered.

        Raises:
            Refusal: UNAVAILABLE, as TF Serving says when its queue is full.
        """
        if not self._places.acquire(blocking=False):
            raise Refusal("UNAVAILABLE", f"{self._size} requests are running or waiting already; try again")
        try:
            yield
        finally:
            self._places.release()

    @contextlib.contextmanager
    def run(self, seconds):
        """Held while the network runs.

        Args:
            seconds: how long to wait for it.

        Raises:
            Refusal: DEADLINE_EXCEEDED.
        """
        if not self._running.acquire(timeout=max(0.0, seconds)):
            raise Refusal("DEADLINE_EXCEEDED", f"the request waited {seconds:.1f} s for others to end")
        try:
            yield
        finally:
            self._running.release()
