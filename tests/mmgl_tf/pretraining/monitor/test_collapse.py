import math

import numpy as np
import pytest

from mmgl_tf.pretraining.monitor.collapse import RULES, judge, projection_figures

IMAGES, SIZE = 80, 256
SPREAD, RANK, VARIANCE = (rule.figure for rule in RULES)
EPSILON = 1e-5  # of a batch norm
GROUPS = ("", "_visible", "_infrared")
HEALTHY = {f"{rule.figure}{suffix}": 2 * rule.alarm for rule in RULES for suffix in GROUPS}
SAYS = {SPREAD: "of an even spread", RANK: "(effective rank)", VARIANCE: "in the last norm"}


def drawn(count=IMAGES, size=SIZE, seed=0):
    return np.random.RandomState(seed).randn(count, size)


def figures(rows, before_norm=None):
    """Of the rows of both modalities, half of them each."""

    def halves(of):
        return None if of is None else dict(zip(("visible", "infrared"), np.split(of, 2), strict=True))

    return projection_figures(halves(rows), halves(before_norm))


def collapsed(found):
    """What two epochs with such figures are called, and why."""
    verdict = judge({1: found, 2: found}, 0)
    return verdict.state, verdict.reason


def normalised(before):
    """A batch norm without scale."""
    return (before - before.mean(axis=0)) / np.sqrt(before.var(axis=0) + EPSILON)


def test_the_figures_are_those_of_their_definitions():
    rows = drawn(20, 16)
    found = projection_figures({"visible": rows[:12], "infrared": rows[12:]}, {"visible": 2 * rows})
    assert set(found) == {
        f"projection/{name}{suffix}"
        for name in ("spread", "mean_cosine", "effective_rank")
        for suffix in GROUPS
    } | {VARIANCE}
    for suffix, part in (("", rows), ("_visible", rows[:12]), ("_infrared", rows[12:])):
        unit = part / np.linalg.norm(part, axis=1, keepdims=True)
        assert found[SPREAD + suffix] == pytest.approx(4 * unit.std(axis=0, ddof=1).mean())
        singular = np.linalg.svd(part - part.mean(axis=0), compute_uv=False)
        shares = [value for value in singular / singular.sum() if value > 1e-12]
        assert found[RANK + suffix] == pytest.approx(math.exp(-sum(p * math.log(p) for p in shares)))
        cosines = [unit[i] @ unit[j] for i in range(len(unit)) for j in range(i)]
        assert found["projection/mean_cosine" + suffix] == pytest.approx(np.mean(cosines))
    variances = [np.mean((2 * column - np.mean(2 * column)) ** 2) for column in rows.T]
    assert found[VARIANCE] == pytest.approx(np.mean([v / (v + 1) for v in variances]))


def test_one_modality_has_no_figures_of_both():
    assert set(projection_figures({"infrared": drawn()})) == {SPREAD, RANK, "projection/mean_cosine"}


def test_a_few_images_have_no_rank():
    assert RANK in projection_figures({"visible": drawn(8)})
    assert set(projection_figures({"visible": drawn(7)})) == {SPREAD, "projection/mean_cosine"}


def test_even_embeddings_are_healthy_in_every_figure():
    found = figures(drawn(2 * IMAGES), drawn(2 * IMAGES, seed=1) / math.sqrt(EPSILON))
    for suffix in GROUPS:
        assert found[SPREAD + suffix] == pytest.approx(1.0, rel=0.02)
        assert found[RANK + suffix] > 70
        assert found[VARIANCE + suffix] > 0.9999
    assert collapsed(found) == ("healthy", "")


def made_up():
    """{what: (rows of both modalities, what goes into a last norm or None, rule that finds it)}."""
    noise, point = drawn(2 * IMAGES, seed=1), drawn(1, seed=2)
    other = drawn(1, seed=3)
    sides = np.repeat([[1.0], [-1.0]], IMAGES, axis=0)
    mixed = np.tile([[1.0], [-1.0]], (IMAGES, 1))
    steps = np.linspace(-1, 1, 2 * IMAGES)[:, None]
    one = np.where(sides > 0, point, noise)
    found = {
        "a point": (np.tile(point, (2 * IMAGES, 1)), None, SPREAD),
        "a point with noise": (point + 0.03 * noise, None, SPREAD),
        "two points, one a modality": (np.where(sides > 0, point, other) + 0.01 * noise, None, SPREAD),
        "one modality a point": (one + 0.01 * noise, None, SPREAD),
        "two opposite points in each": (mixed * point + 0.01 * noise, None, RANK),
        "two points in one modality": (np.where(sides > 0, mixed * point, noise), None, RANK),
        "a line": (np.random.RandomState(4).randn(2 * IMAGES, 1) * point, None, RANK),
        "a line beside the origin": (other + steps * point, None, RANK),
        "a plane": (drawn(2 * IMAGES, 2) @ drawn(2), None, RANK),
    }
    for scale in (1e-3, 1e-5, 1e-7):
        before = 3.0 + scale * noise
        found[f"a point and {scale:g} that a norm blows up"] = (normalised(before), before, VARIANCE)
    return found


@pytest.mark.parametrize("what", made_up())
def test_each_kind_of_collapse_is_found_by_its_figure(what):
    rows, before, figure = made_up()[what]
    found = figures(rows, None if before is None else before / math.sqrt(EPSILON))
    state, reason = collapsed(found)
    assert state == "collapsed"
    # The first rule that is broken is named, so those before it are not.
    assert SAYS[figure] in reason


def test_two_points_a_modality_are_sound_together():
    rows, _, _ = made_up()["two points, one a modality"]
    assert figures(rows)[SPREAD] > 0.4


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.figure)
@pytest.mark.parametrize("suffix", ["", "_visible", "_infrared"])
def test_limits_of_each_rule_and_group(rule, suffix):
    def state(value):
        row = HEALTHY | {rule.figure + suffix: value}
        return judge({1: row, 2: row}, 0)

    assert state(1.001 * rule.alarm).state == state(rule.alarm).state == "healthy"  # below, not at
    assert state(0.999 * rule.alarm).state == state(rule.collapsed).state == "alarm"
    verdict = state(0.999 * rule.collapsed)
    assert verdict.state == "collapsed"
    group = suffix.removeprefix("_") or "joint"
    assert verdict.reason.startswith(f"the projector's {group} embeddings ")
    assert f"below {rule.collapsed:g}, and were below it for 2 epochs running" in verdict.reason


def states(values, warmup=0, figure=SPREAD):
    """After each epoch."""
    rows = {epoch: {figure: value} for epoch, value in enumerate(values, 1)}
    return [
        judge({e: rows[e] for e in range(1, last + 1)}, warmup).state for last in range(1, len(values) + 1)
    ]


def test_two_epochs_running():
    assert states([0.01, 0.3, 0.01, 0.01]) == ["healthy"] * 3 + ["collapsed"]
    assert states([0.1, 0.01, 0.01]) == ["healthy", "alarm", "collapsed"]
    assert states([0.01, 0.1]) == ["healthy", "alarm"]
    assert judge({1: {SPREAD: 0.0}, 3: {SPREAD: 0.0}}, 0).state == "healthy"  # epoch 2 is unknown
    assert judge({}, 0).state == "healthy"


def test_a_group_has_to_be_below_itself():
    one, other = ({SPREAD + "_visible": a, SPREAD + "_infrared": b} for a, b in ((0.01, 0.9), (0.9, 0.01)))
    assert judge({1: one, 2: other}, 0).state == "healthy"
    assert judge({1: one | {RANK: 9.0}, 2: {RANK: 1.0}}, 0).state == "healthy"


def test_warm_up_is_not_judged_and_its_epochs_do_not_count():
    assert states([0.0] * 5, warmup=3) == ["healthy"] * 4 + ["collapsed"]
    assert states([0.0] * 3 + [1.0, 0.0, 0.0], warmup=3) == ["healthy"] * 5 + ["collapsed"]


def test_what_is_no_number_is_left_to_other_guards():
    row = {SPREAD: 0.01}
    assert judge({1: {}, 2: row}, 0).state == "healthy"
    assert judge({1: row, 2: {}}, 0).state == "healthy"
    assert judge({1: {SPREAD: math.nan}, 2: row}, 0).state == "healthy"
