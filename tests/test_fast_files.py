from tests.fast_files import ROOT, left_out, unit_of

RECORD = {
    "seconds": {"tests/a.py": 3.0, "tests/b.py": 1.0, "tests/c.py": 2.5, "tests/d.py": 0.5},
    "processes": [],
}


def test_the_quickest_files_are_taken_as_long_as_they_fit():
    assert left_out(RECORD, budget=4.0) == {"tests/a.py"}
    assert left_out(RECORD, budget=3.9) == {"tests/a.py", "tests/c.py"}
    assert left_out(RECORD, budget=100.0) == set()


def test_files_that_start_processes_are_left_out_and_do_not_count():
    assert left_out(RECORD | {"processes": ["tests/b.py"]}, budget=3.0) == {"tests/a.py", "tests/b.py"}


def test_contracts_are_measured_together():
    assert unit_of(ROOT / "tests" / "contracts" / "test_x.py") == "tests/contracts"
    assert unit_of(ROOT / "tests" / "flags" / "test_x.py") == "tests/flags/test_x.py"
