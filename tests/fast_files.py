"""Pytest plugin of `make test-fast`: the test files that together take less than a minute on one core.

`tests/durations.json` has what each file took when it was last measured, and which start processes. The
quickest of the others are taken, as many as fit. A file that is not in it yet is taken too: somebody is
writing it. Where the run turns out too long, it says how to measure again.
"""

import json
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DURATIONS = ROOT / "tests" / "durations.json"
# Seconds of a core: what is taken by the record, and what a run may take.
BUDGET, LIMIT = 36.0, 60.0
# Its files share what they compute, so that the first one pays for all.
ONE_UNIT = "tests/contracts"
LEFT_OUT, SPENT = pytest.StashKey(), pytest.StashKey()


def unit_of(path):
    """What a test file is measured as: its path from the root, or `ONE_UNIT`."""
    name = Path(path).relative_to(ROOT).as_posix()
    return ONE_UNIT if name.startswith(f"{ONE_UNIT}/") else name


def left_out(record, budget=BUDGET):
    """The units that do not belong to the fast tests.

    Args:
        record: {"seconds": {unit: seconds}, "processes": [units that start some]}.
        budget: seconds.
    """
    seconds, total, kept = record["seconds"], 0.0, set()
    for unit in sorted(set(seconds) - set(record["processes"]), key=seconds.get):
        total += seconds[unit]
        if total > budget:
            break
        kept.add(unit)
    return set(seconds) - kept


def pytest_configure(config):
    """Reads the record."""
    config.stash[LEFT_OUT] = left_out(json.loads(DURATIONS.read_text()))
    config.stash[SPENT] = Counter()


def pytest_ignore_collect(collection_path, config):
    """Leaves files out before they are imported, which would cost more than many a test."""
    test = collection_path.name.startswith("test_") and collection_path.suffix == ".py"
    return True if test and unit_of(collection_path) in config.stash[LEFT_OUT] else None


def pytest_runtest_makereport(item, call):
    """Adds up what was spent."""
    item.config.stash[SPENT][unit_of(item.path)] += call.duration


def pytest_terminal_summary(terminalreporter, config):
    """Tells of a minute that was not kept."""
    spent = config.stash[SPENT]
    terminalreporter.write_line(f"{sum(spent.values()):.0f} s in {len(spent)} of the quickest test files")
    if sum(spent.values()) > LIMIT:
        slowest = ", ".join(f"{unit} {seconds:.1f} s" for unit, seconds in spent.most_common(5))
        terminalreporter.write_line(
            f"more than {LIMIT:.0f} s, most of it in {slowest}. Make them quicker, or measure all files "
            "again: python -m tests.measure_durations",
            yellow=True,
        )
