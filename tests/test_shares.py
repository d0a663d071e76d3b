import pytest

from tests.shares import share_of


@pytest.mark.parametrize(
    ("nodeid", "share"),
    [
        ("tests/flags/test_a.py::test_b[byol]", "tests/flags/test_a.py"),
        ("tests/contracts/test_a.py::test_b[byol]", "tests/contracts of byol"),
        ("tests/contracts/test_a.py::test_b[4-one_stream-0]", "tests/contracts of one_stream"),
        ("tests/contracts/test_a.py::test_b", "tests/contracts/test_a.py"),
        ("tests/contracts/test_a.py::test_b[loss-mean]", "tests/contracts/test_a.py"),
    ],
)
def test_a_file_is_one_workers_and_so_are_a_methods_contracts(nodeid, share):
    assert share_of(nodeid) == share
