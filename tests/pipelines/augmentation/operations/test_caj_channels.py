"""CAJ's operations on channels, value by value beside the released code's rules (spec 4.5)."""

import random

import numpy as np
import pytest

from mmgl_tf.pipelines.augmentation.operations.channel_exchange import ChannelExchange
from mmgl_tf.pipelines.augmentation.operations.channel_or_grey import ChannelOrGrey
from mmgl_tf.pipelines.random_plan import Stream, uniforms

SIZE = (4, 3)


def slow_exchange(pixel, randint):
    """(value,) x 3 of a pixel (R, G, B)."""
    return (pixel[randint(0, 2)],) * 3


def slow_channel_or_grey(pixel, randint, uniform):
    channel = randint(0, 3)
    if channel < 3:
        return (pixel[channel],) * 3
    if uniform(0, 1) > 0.5:
        return tuple(pixel)
    return (0.2989 * pixel[0] + 0.5870 * pixel[1] + 0.1140 * pixel[2],) * 3


def given(draws):
    """(randint, uniform) that take the given numbers in (0, 1) one after the other."""
    left = iter(draws)
    return (
        lambda low, high: low + int(next(left) * (high - low + 1)),
        lambda low, high: low + next(left) * (high - low),
    )


def test_the_slow_rules_are_those_of_the_released_code():
    dice = random.Random(0)
    found = [slow_exchange((1, 2, 3), dice.randint) for _ in range(8)]
    assert found == [(value,) * 3 for value in (2, 2, 1, 2, 3, 2, 2, 2)]
    dice = random.Random(0)
    found = [slow_channel_or_grey((1, 2, 3), dice.randint, dice.uniform) for _ in range(12)]
    kept, grey = (1, 2, 3), pytest.approx((1.8149,) * 3)
    alone = {value: (value,) * 3 for value in (1, 2, 3)}
    expected = [kept, grey, grey, 3, grey, 2, 2, 3, 2, 1, 3, 2]
    assert found == [alone[value] if isinstance(value, int) else value for value in expected]


@pytest.mark.parametrize("operation", [ChannelExchange(), ChannelOrGrey(0.5)], ids=lambda o: type(o).__name__)
def test_operations_follow_the_slow_rules_value_by_value(operation):
    draws = uniforms(1, Stream.INFRARED_IMAGES, 0, np.arange(60), operation.draws)
    plan = operation.plan(draws, SIZE, SIZE)
    assert set(plan.tolist()) == set(range(3 if operation.draws == 1 else 5)), "every case must occur"
    for row in range(len(draws)):
        found = np.random.default_rng(row).normal(size=(*SIZE, 3)).astype(np.float32)
        expected = np.empty_like(found)
        for place in np.ndindex(SIZE):
            randint, uniform = given(draws[row])
            rule = slow_exchange if operation.draws == 1 else slow_channel_or_grey
            dice = (randint,) if operation.draws == 1 else (randint, uniform)
            expected[place] = rule(found[place], *dice)
        operation.finish(found, plan, row, np.array([0]))
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)


def test_cases_have_their_odds():
    draws = uniforms(1, Stream.INFRARED_IMAGES, 0, np.arange(20000), 2)
    shares = np.bincount(ChannelOrGrey(0.2).plan(draws, SIZE, SIZE), minlength=5) / 20000
    np.testing.assert_allclose(shares, [0.25, 0.25, 0.25, 0.05, 0.2], atol=0.01)
    shares = np.bincount(ChannelExchange().plan(draws[:, :1], SIZE, SIZE), minlength=3) / 20000
    np.testing.assert_allclose(shares, [1 / 3] * 3, atol=0.01)
