"""Two replicas take the steps of one: trained weights, state beside them, statistics, figures.

In float64, where sums in another order part by some 1e-14 of the way that training took the weights.
"""

import subprocess
import sys

import numpy as np
import pytest

from tests.contracts.cases import METHODS
from tests.real_runs import ROOT

pytestmark = pytest.mark.slow

SAME = 1e-9


@pytest.mark.parametrize("method", METHODS)
def test_two_replicas_take_the_steps_of_one(method, tmp_path):
    out = tmp_path / "states.npz"
    command = [sys.executable, "-m", "tests.contracts.two_replicas", method, str(out)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    with np.load(out) as archive:
        found = {name: archive[name] for name in archive.files}
    weights = [name for name in found if name.startswith("one/weight/")]
    figures = [name for name in found if name.startswith("one/figure/")]
    assert weights and figures
    for name in figures:
        other = found[name.replace("one/", "two/")]
        np.testing.assert_allclose(other, found[name], rtol=SAME, atol=SAME, err_msg=name)
    moved = apart = 0.0
    for name in weights:
        own = name.removeprefix("one/")
        first, second = found[f"two/0/{own}"], found[f"two/1/{own}"]
        assert np.array_equal(first, second), f"{own} differs between the replicas"
        way = np.linalg.norm(found[name] - found[f"start/{own}"])
        away = np.linalg.norm(first - found[name])
        assert away <= SAME * (1.0 + way), own
        moved, apart = moved + way**2, apart + away**2
    assert moved > 0 and apart <= SAME**2 * moved
