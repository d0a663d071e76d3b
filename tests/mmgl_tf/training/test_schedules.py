import keras
import numpy as np
import pytest
import tensorflow as tf

from mmgl_tf.training.schedules import SCHEDULES, AuthorsCosine, OffsetCosine, make_schedule


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


SLOW = {"authors": slow_authors, "offset": slow_offset}


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


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("warmup", [0, 2, 2.5])
@pytest.mark.parametrize("kind", ["python", "graph"])
def test_every_step_follows_the_slow_version(name, warmup, kind):
    settings = (0.3, warmup, 7, 5)
    schedule = make_schedule(name, *settings)
    rate = schedule if kind == "python" else tf.function(schedule.__call__)
    found = [float(rate(tf.constant(step, tf.int64))) for step in range(40)]
    np.testing.assert_allclose(found, [SLOW[name](s, *settings) for s in range(40)], rtol=1e-5, atol=1e-8)
    assert found == [float(rate(tf.constant(step, tf.int64))) for step in range(40)]  # no hidden state


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_warm_up_longer_than_the_run_only_warms_up(name):
    rates = [float(make_schedule(name, 0.1, 10, 2, 5)(step)) for step in range(10)]
    assert sorted(rates) == rates
    assert rates[-1] == pytest.approx(0.02)


def test_long_runs_do_not_slip_an_epoch():
    # float32 cannot tell 2^24 from 2^24 + 1; epoch borders lie exactly there.
    schedule = AuthorsCosine(1.0, 0, 100, 2**24 + 1)
    assert float(schedule(2**24)) == 1.0
    assert float(schedule(2**24 + 1)) < 1.0


@pytest.mark.parametrize("name", SCHEDULES)
def test_config_rebuilds_the_schedule(name):
    schedule = make_schedule(name, 0.2, 3, 30, 17)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(schedule))
    assert type(again) is type(schedule)
    assert again.get_config() == {"peak": 0.2, "warmup_epochs": 3, "epochs": 30, "steps_per_epoch": 17}


def test_bad_arguments_say_what_was_expected():
    with pytest.raises(ValueError, match="'cosine'; expected one of authors, offset"):
        make_schedule("cosine", 0.1, 1, 2, 3)
    with pytest.raises(ValueError, match="0 epochs of 5 steps; expected a positive length"):
        AuthorsCosine(0.1, 0, 0, 5)
    with pytest.raises(ValueError, match="warm-up of -1 epochs"):
        OffsetCosine(0.1, -1, 2, 3)
    with pytest.raises(ValueError, match="peak=-1"):
        OffsetCosine(-1, 0, 2, 3)
