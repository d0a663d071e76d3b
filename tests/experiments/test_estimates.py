"""How long experiments are said to take."""

import pytest

from experiments.cell import Arm, Experiment, cells_of
from experiments.estimates import Estimates, clock
from tests.experiments.test_experiment_tables import finish, result_cell


def test_a_clock_of_less_than_an_hour_has_no_hours():
    assert (clock(59.6), clock(61), clock(3661)) == ("1:00", "1:01", "1:01:01")


def test_estimates_come_from_the_same_stage_then_from_its_mode_in_proportion(tmp_path):
    arms = (Arm("x"), Arm("long", None, {"epochs": 20}), Arm("MMGL", {}))
    found = cells_of(Experiment("", arms), range(2), "demo", {}, tmp_path)
    every = [stage for cell in found for stage in cell.stages]
    finish(found[0], result_cell(1, 2), seconds=50.0)
    estimates = Estimates(every)
    assert estimates.of(found[3].stages[0]) == 50.0  # seed 1 of the same
    assert estimates.of(found[1].stages[0]) == 100.0  # twice the epochs
    assert estimates.of(found[1].stages[1]) == 5.0
    chains = estimates.chains(found[2].stages)
    before, fine, evaluation = (chains[stage.directory] for stage in found[2].stages)
    assert evaluation == 5.0 and fine == 55.0 and before == 55.0 + estimates.of(found[2].stages[0])
    both = cells_of(Experiment("", (arms[2], Arm("longer", {}, {"epochs": 30}))), [0], "demo", {}, tmp_path)
    assert estimates.chains([s for cell in both for s in cell.stages])[both[0].stages[0].directory] == (
        pytest.approx(before - 55.0 + 155.0)  # the longer of two that wait for it
    )
    running = [(found[1].stages[0], 40.0)]  # 60 s to go
    assert estimates.left([found[3].stages[0]], running, lanes=2) == pytest.approx(60.0)
    assert estimates.left([found[3].stages[0]], running, lanes=1) == pytest.approx(110.0)
    assert estimates.left([], [(found[1].stages[0], 200.0)], lanes=2) == pytest.approx(20.0)  # overdue
    assert estimates.left(found[2].stages, [], lanes=5) == pytest.approx(before)
    fresh = Estimates()
    fresh.learn(found[1].stages[0], 80.0)
    assert fresh.of(found[0].stages[0]) == 40.0  # half the epochs


def test_a_slow_machine_is_slow_in_what_it_has_not_done_yet(tmp_path):
    found = cells_of(Experiment("", (Arm("MMGL", {}),)), [0], "demo", {}, tmp_path)
    before, fine, _ = found[0].stages
    estimates = Estimates()
    guessed = estimates.of(before), estimates.of(fine)
    estimates.learn(before, 10 * guessed[0])
    assert estimates.of(fine) == pytest.approx(10 * guessed[1])
