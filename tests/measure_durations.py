"""Writes tests/durations.json, by which `make test-fast` chooses its files.

    python -m tests.measure_durations [path ...]

runs all tests that are not slow, or those of some paths, one after the other (some twenty minutes for all).
It counts processor time, so that other work on the machine hardly matters. Of paths that are not run, the
record keeps what it has, unless they are gone.
"""

import json
import os
import sys
from collections import Counter

import pytest

from tests.fast_files import DURATIONS, ROOT, unit_of


def processor_time():
    """Seconds that this process and those it waited for have computed, on all cores together."""
    return sum(os.times()[:4])


class Stopwatch:
    """Pytest plugin that measures each file, and notes which start processes."""

    def __init__(self):
        self.seconds = Counter()
        self.processes = set()
        self._running = None
        sys.addaudithook(self._heard)

    def _heard(self, event, arguments):
        if event == "subprocess.Popen" and self._running:
            self.processes.add(self._running)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item):
        """Set-up, call and teardown alike; knows whose processes are whose."""
        self._running, before = unit_of(item.path), processor_time()
        try:
            return (yield)
        finally:
            self.seconds[self._running] += processor_time() - before
            self._running = None


def main(paths):
    """See the head of this file."""
    stopwatch = Stopwatch()
    status = pytest.main(["-m", "not slow", "-p", "no:xdist", *(paths or ["tests"])], plugins=[stopwatch])
    before = json.loads(DURATIONS.read_text()) if DURATIONS.is_file() else {"seconds": {}, "processes": []}
    old = {unit for unit in before["seconds"] if (ROOT / unit).exists() and unit not in stopwatch.seconds}
    seconds = {unit: before["seconds"][unit] for unit in old}
    seconds |= {unit: round(spent, 2) for unit, spent in stopwatch.seconds.items()}
    processes = stopwatch.processes | (set(before["processes"]) & old)
    record = {"seconds": dict(sorted(seconds.items())), "processes": sorted(processes)}
    DURATIONS.write_text(json.dumps(record, indent=1) + "\n")
    return status


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    sys.exit(main(sys.argv[1:]))
