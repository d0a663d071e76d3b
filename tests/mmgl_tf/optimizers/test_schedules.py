import keras
import numpy as np
import pytest
import tensorflow as tf

from mmgl_tf.optimizers.schedules import SCHEDULES, AuthorsCosine, OffsetCosine, StepDecay, make_schedule


def slow_authors(step, peak, warmup, epochs, steps_per_epoch):
    epoch = step // steps_per_epoch
    if epoch < warmup:
        return peak * min((epoch + 1) / warmup, 1.0)
    return 0.5 * peak * (1 + np.cos(np.pi * epoch / epochs)) if epoch < epochs else 0.0


def slow_offset(step, peak, warmup, epochs, steps_per_epoch):
    warm, total = round(warmup * steps_per_epoch), round(epochs * steps_per_epoch)
    if step < warm:
        return peak * (step + 1) / warm
    return 0.5 * peak * (1 + np.cos(np.pi * (step - warm) / (total - warm))) if step < total else 0.0


def slow_step(step, peak, warmup, epochs, steps_per_epoch, milestones=(20, 50)):
    epoch = step // steps_per_epoch
    if epoch < warmup:
        return peak * min((epoch + 1) / warmup, 1.0)
    for milestone in milestones:
        if epoch >= milestone:
            peak = peak / 10
    return peak


SLOW = {"authors": slow_authors, "offset": slow_offset, "step": slow_step}
MORE = {"step": {"milestones": (3, 5)}}


@pytest.mark.parametrize(("epoch", "rate"), [(0, 0.01), (9, 0.1), (10, 0.096194), (40, 0.05), (80, 0.0)])
def test_authors_rates_are_those_of_their_log(epoch, rate):
    schedule = AuthorsCosine(0.1, 10, 80, 463)
    for step in (epoch * 463, epoch * 463 + 462):  # first and last step of the epoch
        assert float(schedule(step)) == pytest.approx(rate, abs=5e-7)


def test_authors_rates_of_the_paper_run():
    schedule = AuthorsCosine(0.1, 10, 100, 463)
    assert float(schedule(10 * 463)) == pytest.approx(0.05 * (1 + np.cos(0.1 * np.pi)), rel=1e-6)
    assert float(schedule(99 * 463)) == pytest.approx(0.05 * (1 + np.cos(0.99 * np.pi)), rel=1e-4)


def test_offset_rates_at_the_corners():
    schedule = OffsetCosine(0.1, 10, 100, 40)
    rates = {step: float(schedule(step)) for step in (0, 199, 399, 400, 2200, 3999, 4000, 9999)}
    expected = {0: 0.1 / 400, 199: 0.05, 399: 0.1, 400: 0.1, 2200: 0.05, 4000: 0.0, 9999: 0.0}
    for step, rate in expected.items():
        assert rates[step] == pytest.approx(rate, abs=1e-8), step
    assert 0 < rates[3999] < 1e-7


@pytest.mark.parametrize(
    ("epoch", "rate"),
    [(0, 0.01), (8, 0.09), (9, 0.1), (10, 0.1), (19, 0.1), (20, 0.01), (49, 0.01), (50, 0.001), (200, 0.001)],
)
def test_step_decay_has_the_baselines_rates(epoch, rate):
    schedule = StepDecay(0.1, 10, 81, 696)
    for step in (epoch * 696, epoch * 696 + 695):  # first and last step of the epoch
        assert float(schedule(step)) == pytest.approx(rate, rel=1e-6)


def test_step_decay_takes_other_milestones_and_factors():
    ddag = make_schedule("step", 0.1, 10, 81, 2, milestones=(30, 50))
    assert [float(ddag(2 * e)) for e in (29, 30, 50)] == pytest.approx([0.1, 0.01, 0.001], rel=1e-6)
    halving = StepDecay(0.8, 0, 9, 1, milestones=[1, 2, 4], factor=0.5)
    assert [float(halving(e)) for e in range(6)] == pytest.approx([0.8, 0.4, 0.2, 0.2, 0.1, 0.1])
    constant = StepDecay(0.3, 0, 9, 1, milestones=())
    assert [float(constant(e)) for e in (0, 8, 100)] == pytest.approx([0.3] * 3)
    late = StepDecay(0.1, 4, 9, 1, milestones=(2,))  # a milestone inside the warm-up waits for its end
    assert [float(late(e)) for e in (1, 3, 4)] == pytest.approx([0.05, 0.1, 0.01])


@pytest.mark.parametrize("milestones", [(20, 10), (20, 20), (-1, 5), (2.5,)])
def test_milestones_are_ascending_epochs(milestones):
    with pytest.raises(ValueError, match=r"expected whole epochs in ascending order, such as \(20, 50\)"):
        StepDecay(0.1, 1, 10, 5, milestones=milestones)


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("warmup", [0, 2, 2.5])
@pytest.mark.parametrize("kind", ["python", "graph"])
def test_every_step_follows_the_slow_version(name, warmup, kind):
    settings = (0.3, warmup, 7, 5)
    more = MORE.get(name, {})
    schedule = make_schedule(name, *settings, **more)
    rate = schedule if kind == "python" else tf.function(schedule.__call__, autograph=False)
    found = [float(rate(tf.constant(step, tf.int64))) for step in range(40)]
    expected = [SLOW[name](s, *settings, **more) for s in range(40)]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-8)
    assert found == [float(rate(tf.constant(step, tf.int64))) for step in range(40)]  # no hidden state


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_warm_up_longer_than_the_run_only_warms_up(name):
    rates = [float(make_schedule(name, 0.1, 10, 2, 5)(step)) for step in range(10)]
    assert sorted(rates) == rates
    assert rates[-1] == pytest.approx(0.02)


@pytest.mark.parametrize("kind", [AuthorsCosine, lambda *lengths: StepDecay(*lengths, milestones=(1,))])
def test_long_runs_do_not_slip_an_epoch(kind):
    # float32 cannot tell 2^24 from 2^24 + 1; epoch borders lie exactly there.
    schedule = kind(1.0, 0, 100, 2**24 + 1)
    assert float(schedule(2**24)) == 1.0
    assert float(schedule(2**24 + 1)) < 1.0


@pytest.mark.parametrize("name", SCHEDULES)
def test_config_rebuilds_the_schedule(name):
    schedule = make_schedule(name, 0.2, 3, 30, 17)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(schedule))
    assert type(again) is type(schedule)
    config = {"peak": 0.2, "warmup_epochs": 3, "epochs": 30, "steps_per_epoch": 17, "start": None}
    more = {"final_fraction": 0.0}
    if name == "step":
        more = {"milestones": (20, 50), "factor": 0.1, "fractions": None}
    assert again.get_config() == config | more


@pytest.mark.parametrize("name", ["authors", "offset"])
@pytest.mark.parametrize("final", [0.001, 0.5, 1.0])
def test_a_cosine_ends_at_its_final_fraction(name, final):
    """What is above it shrinks alike, as in Barlow Twins and SwAV: final + (peak - final) (1 + cos) / 2."""
    schedule = make_schedule(name, 0.6, 2, 7, 5, final_fraction=final)
    for step in range(10, 60):
        expected = final * 0.6 + (1 - final) * SLOW[name](step, 0.6, 2, 7, 5)
        assert float(schedule(step)) == pytest.approx(expected, rel=1e-5)
    assert float(schedule(35)) == pytest.approx(final * 0.6, rel=1e-6)
    assert float(schedule(0)) == float(make_schedule(name, 0.6, 2, 7, 5)(0)), (
        "the warm-up knows nothing of it"
    )


@pytest.mark.parametrize(("name", "length"), [("authors", 1), ("step", 1), ("offset", 5)])
def test_a_warm_up_from_a_stated_start(name, length):
    """The first rate is the start; with 5 steps an epoch, "offset" warms up step by step."""
    schedule = make_schedule(name, 0.1, 4, 20, 5, start=0.025)
    for step in range(20):
        gone = (step // 5 * 5 if length == 1 else step) / 20
        assert float(schedule(step)) == pytest.approx(0.025 + 0.075 * gone, rel=1e-6)
    assert float(schedule(20)) == float(make_schedule(name, 0.1, 4, 20, 5)(20))


@pytest.mark.parametrize(("epochs", "length"), [(10, 10), (100, 7), (1, 25), (2.5, 3)])
def test_milestones_may_be_shares_of_the_run(epochs, length):
    schedule = make_schedule("step", 0.1, 0, epochs, length, fractions=(0.3, 0.6, 0.9))
    total = epochs * length
    for step in range(int(total) + 3):
        passed = sum(10 * step >= round(10 * share * total, 6) for share in (0.3, 0.6, 0.9))
        assert float(schedule(step)) == pytest.approx(0.1**passed * 0.1, rel=1e-6), step
    assert tuple(schedule.get_config()["fractions"]) == (0.3, 0.6, 0.9)


def test_a_share_that_is_a_whole_step_is_that_step():
    """0.07 times 100 is a little above 7 in floating point."""
    schedule = make_schedule("step", 0.1, 0, 100, 1, fractions=(0.07,))
    assert [float(schedule(step)) for step in (6, 7)] == pytest.approx([0.1, 0.01], rel=1e-6)


def test_bad_arguments_say_what_was_expected():
    with pytest.raises(ValueError, match="'cosine'; expected one of authors, offset, step"):
        make_schedule("cosine", 0.1, 1, 2, 3)
    with pytest.raises(ValueError, match="0 epochs of 5 steps; expected a positive length"):
        AuthorsCosine(0.1, 0, 0, 5)
    with pytest.raises(ValueError, match="warm-up of -1 epochs"):
        OffsetCosine(0.1, -1, 2, 3)
    with pytest.raises(ValueError, match=r"factor=2\.0; expected a share in \[0, 1\]"):
        StepDecay(0.1, 1, 2, 3, factor=2.0)
    with pytest.raises(ValueError, match="peak=-1"):
        OffsetCosine(-1, 0, 2, 3)
    with pytest.raises(ValueError, match=r"start=-1; expected a learning rate of at least 0"):
        OffsetCosine(0.1, 1, 2, 3, start=-1)
    with pytest.raises(ValueError, match=r"final_fraction=2; expected a share in \[0, 1\]"):
        AuthorsCosine(0.1, 1, 2, 3, final_fraction=2)
    for fractions in ((0.6, 0.3), (0.5, 1.0), (0.0, 0.5)):
        with pytest.raises(ValueError, match=r"expected shares of the run in \(0, 1\) in ascending order"):
            StepDecay(0.1, 1, 2, 3, fractions=fractions)
