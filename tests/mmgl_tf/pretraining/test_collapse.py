import json

import numpy as np
import pytest

from mmgl_tf.pretraining.collapse import CollapseMonitor, spreads
from mmgl_tf.pretraining.embedding_spread import effective_rank


def drawn(count=40, size=16, seed=0):
    return np.random.RandomState(seed).randn(count, size)


def states(monitor, joint, first=0):
    return [monitor.judge(epoch, {"joint": value}).state for epoch, value in enumerate(joint, first)]


def test_spreads_are_one_for_an_even_spread_and_zero_for_a_point():
    even = spreads(drawn(4000, 128), drawn(4000, 128, 1))
    assert list(even) == ["visible", "infrared", "joint"]
    assert list(even.values()) == pytest.approx([1, 1, 1], rel=0.01)
    assert max(spreads(np.ones((9, 4)), np.ones((9, 4))).values()) < 1e-12


def test_spreads_are_feat_std_over_that_of_an_even_spread():
    rows = drawn()
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    expected = 4 * unit.std(axis=0, ddof=1).mean()
    assert spreads(visible=rows) == {"visible": pytest.approx(expected)}
    assert spreads(infrared=rows) == {"infrared": pytest.approx(expected)}
    assert spreads(rows[:25], rows[25:])["joint"] == pytest.approx(expected)


def test_two_points_one_a_modality_are_seen():
    found = spreads(np.tile([1.0, 0, 0, 0], (20, 1)), np.tile([0, 1.0, 0, 0], (20, 1)))
    assert found["visible"] == found["infrared"] == 0.0
    assert found["joint"] > 0.4
    monitor = CollapseMonitor(0)
    monitor.judge(0, found)
    verdict = monitor.judge(1, found)
    assert (verdict.state, verdict.group) == ("collapsed", "visible")


def test_two_opposite_points_pass_and_have_rank_one():
    """The blind spot that `spreads` warns of."""
    point = np.random.RandomState(0).randn(1, 256)
    opposite = np.concatenate([np.tile(point, (20, 1)), np.tile(-point, (20, 1))])
    assert spreads(opposite)["visible"] == pytest.approx(0.8, abs=0.05)
    assert effective_rank(opposite) == pytest.approx(1.0, abs=1e-6)


def test_limits_and_two_epochs_running():
    assert states(CollapseMonitor(0), [0.21, 0.21, 0.21]) == ["healthy"] * 3
    assert states(CollapseMonitor(0), [0.19, 0.19, 0.19]) == ["healthy", "alarm", "alarm"]
    assert states(CollapseMonitor(0), [0.051, 0.051]) == ["healthy", "alarm"]
    assert states(CollapseMonitor(0), [0.049, 0.049]) == ["healthy", "collapsed"]
    assert states(CollapseMonitor(0), [0.2, 0.2]) == ["healthy"] * 2  # below, not at
    assert states(CollapseMonitor(0), [0.01, 0.3, 0.01, 0.01]) == ["healthy"] * 3 + ["collapsed"]
    assert states(CollapseMonitor(0), [0.1, 0.01, 0.01]) == ["healthy", "alarm", "collapsed"]
    assert states(CollapseMonitor(0), [0.01, 0.1]) == ["healthy", "alarm"]


def test_thresholds_are_the_issues():
    """feat_std below .2 / sqrt(D) and .05 / sqrt(D)."""
    rows, size = drawn(500, 128), 128
    centre = np.ones(size)
    for share, state in ((0.5, "healthy"), (0.1, "alarm"), (0.03, "collapsed")):
        tight = centre + share * rows  # almost unit vectors around one point
        monitor = CollapseMonitor(0)
        monitor.judge(0, spreads(tight, tight))
        assert monitor.judge(1, spreads(tight, tight)).state == state


def test_warm_up_is_not_judged_and_its_epochs_do_not_count():
    assert states(CollapseMonitor(3), [0.0] * 5) == ["healthy"] * 4 + ["collapsed"]
    assert states(CollapseMonitor(3), [0.0] * 3 + [1.0, 0.0, 0.0]) == ["healthy"] * 5 + ["collapsed"]


def test_patience():
    assert states(CollapseMonitor(0, patience=1), [0.01]) == ["collapsed"]
    assert states(CollapseMonitor(0, patience=3), [0.01] * 4) == ["healthy"] * 2 + ["collapsed"] * 2


def test_a_group_has_to_be_below_itself():
    monitor = CollapseMonitor(0)
    monitor.judge(0, {"visible": 0.01, "infrared": 1.0, "joint": 0.7})
    assert monitor.judge(1, {"visible": 1.0, "infrared": 0.01, "joint": 0.7}).state == "healthy"
    verdict = monitor.judge(2, {"visible": 0.1, "infrared": 0.02, "joint": 0.15})
    assert (verdict.state, verdict.group, verdict.spread, verdict.limit) == (
        "collapsed",
        "infrared",
        0.02,
        0.05,
    )
    assert "infrared embeddings have 0.02 of an even spread, below 0.05" in verdict.reason
    verdict = monitor.judge(3, {"visible": 0.1, "infrared": 0.9, "joint": 0.12})
    assert (verdict.state, verdict.group, verdict.epochs) == ("alarm", "visible", 2)
    assert monitor.judge(4, {"visible": 1.0, "infrared": 0.9, "joint": 0.9}).reason == ""


def test_what_is_no_number_is_left_to_other_guards():
    assert states(CollapseMonitor(0), [np.nan, np.nan, 0.01, 0.01]) == ["healthy"] * 3 + ["collapsed"]


def test_it_goes_on_where_it_stopped():
    figures = [0.3, 0.01, 0.01, 0.01]
    monitor = CollapseMonitor(0)
    whole = states(monitor, figures)
    for stop in range(1, 4):
        before, after = CollapseMonitor(0), CollapseMonitor(0)
        found = states(before, figures[:stop])
        after.restore(json.loads(json.dumps(before.state())))
        assert found + states(after, figures[stop:], first=stop) == whole


def test_an_epoch_judged_again_replaces_what_was_known():
    monitor = CollapseMonitor(0)
    assert states(monitor, [0.3, 0.01]) == ["healthy"] * 2
    assert monitor.judge(1, {"joint": 0.01}).state == "healthy"  # resumed from epoch 0's end
    assert monitor.judge(2, {"joint": 0.01}).state == "collapsed"
    assert monitor.judge(5, {"joint": 0.01}).state == "healthy"  # not running: 3 and 4 are unknown
    assert monitor.judge(4, {"joint": 0.01}).state == "healthy"  # 5 is still to come


@pytest.mark.parametrize(
    "arguments",
    [{"warmup_epochs": -1}, {"warmup_epochs": 0, "patience": 0}, {"warmup_epochs": 0, "collapsed": 0.3}],
)
def test_wrong_arguments_say_what_was_expected(arguments):
    with pytest.raises(ValueError, match=r"expected at least 0 epochs of warm-up, 0 <= collapsed <= alarm"):
        CollapseMonitor(**arguments)
