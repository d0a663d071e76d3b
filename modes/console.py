"""What a mode tells the terminal while something long happens."""

import sys
import time

from mmgl_tf.training.progress import duration


class ProgressLine:
    """A line that counts, with rate and remaining time; call it with (done, total, seconds).

    On a terminal it rewrites itself; elsewhere it writes a line every few seconds and one at the end.

    Args:
        what: e.g. "images drawn".
        unit: e.g. "images", for the rate.
        stream: where to write.
    """

    def __init__(self, what, unit, stream=None):
        self.what = what
        self.unit = unit
        self.stream = stream or sys.stdout
        self.terminal = self.stream.isatty()
        self.shown = time.perf_counter()
        self.line = ""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.line and self.terminal:
            self.stream.write("\n")
            self.stream.flush()

    def __call__(self, done, total, seconds):
        """Show `done` of `total` after `seconds` of work."""
        now = time.perf_counter()
        if done < total and now - self.shown < (0.2 if self.terminal else 5.0):
            return
        self.shown = now
        rate = done / seconds if seconds > 0 else 0.0
        left = f"left {duration((total - done) / rate)}" if rate else ""
        self.line = f"  {self.what}: {done}/{total}  {rate:.0f} {self.unit}/s  {left}".rstrip()
        self.stream.write("\r\x1b[2K" + self.line if self.terminal else self.line + "\n")
        self.stream.flush()
