import itertools

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from mmgl_tf.pipelines.augmentation.operations import colour_jitter
from mmgl_tf.pipelines.augmentation.operations.colour_jitter import (
    ColourJitter,
    JitterPlan,
    jitter,
    plan_jitter,
)
from mmgl_tf.pipelines.augmentation.working_memory import WorkingMemory
from tests.pipelines.augmentation.pictures import PICTURES, act, drawn
from tests.pipelines.augmentation.test_hue import by_pillow

FACTORS = [0.0, 0.3, 0.61, 0.999, 1.0, 1.4, 1.37, 2.0]
ENHANCERS = {
    colour_jitter.change_brightness: ImageEnhance.Brightness,
    colour_jitter.change_contrast: ImageEnhance.Contrast,
    colour_jitter.change_saturation: ImageEnhance.Color,
}


def changed(change, image, factor):
    out = np.full_like(image, 99)
    change(image, np.float32(factor), out, WorkingMemory())
    return out


def enhanced(enhancer, image, factor):
    return np.asarray(enhancer(Image.fromarray(image)).enhance(float(np.float32(factor))))


@pytest.mark.parametrize("factor", FACTORS)
@pytest.mark.parametrize("change", ENHANCERS, ids=lambda change: change.__name__)
@pytest.mark.parametrize("image", PICTURES.values(), ids=PICTURES)
def test_a_change_is_pillows(image, change, factor):
    np.testing.assert_array_equal(changed(change, image, factor), enhanced(ENHANCERS[change], image, factor))


@pytest.mark.parametrize("factor", FACTORS)
@pytest.mark.parametrize("change", list(ENHANCERS)[:2], ids=lambda change: change.__name__)
def test_one_channel_changes_as_three_equal_ones(change, factor):
    image = PICTURES["grey"]
    one = changed(change, np.ascontiguousarray(image[:, :, :1]), factor)
    np.testing.assert_array_equal(one.repeat(3, axis=2), changed(change, image, factor))


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
def test_changes_come_in_the_order_of_the_plan(order):
    image = PICTURES["texture"]
    factors = np.float32([[9, 9, 9], [1.3, 0.7, 1.2]])
    plan = JitterPlan(np.array([[-1] * 4, order]), factors, np.array([0, -11]))
    expected = image
    for change in order:
        if change == colour_jitter.HUE:
            expected = by_pillow(expected, -11)
        else:
            expected = enhanced(list(ENHANCERS.values())[change], expected, factors[1, change])
    memory = WorkingMemory()
    np.testing.assert_array_equal(jitter(image, plan, 1, memory), expected)
    assert jitter(image, plan, 0, memory) is image
    # The infrared image has brightness and contrast alone.
    grey = np.ascontiguousarray(PICTURES["grey"][:, :, :1])
    expected = PICTURES["grey"]
    for change in order:
        if change < 2:
            expected = enhanced(list(ENHANCERS.values())[change], expected, factors[1, change])
    np.testing.assert_array_equal(jitter(grey, plan, 1, memory).repeat(3, axis=2), expected)


def test_plans_are_as_torchvision_draws():
    draws = drawn(48000, ColourJitter.draws)
    plan = plan_jitter(draws, 0.8, (0.4, 0.3, 1.5, 0.1))
    happens = plan.order[:, 0] >= 0
    assert abs(happens.mean() - 0.8) < 0.01
    assert (plan.order[~happens] == -1).all()
    orders, counts = np.unique(plan.order[happens], axis=0, return_counts=True)
    assert len(orders) == 24 and (np.sort(orders, axis=1) == np.arange(4)).all()
    assert abs(counts / counts.mean() - 1).max() < 0.1
    for column, (low, high) in enumerate(((0.6, 1.4), (0.7, 1.3), (0.0, 2.5))):
        factors = plan.factors[:, column]
        assert low <= factors.min() < low + 0.01 and high - 0.01 < factors.max() <= high
        assert abs(factors.mean() - (low + high) / 2) < 0.01
        quarters = np.histogram(factors, 4, (low, high))[0] / len(factors)
        assert abs(quarters - 0.25).max() < 0.01
    # int(0.1 * 255) = 25 steps to both sides, truncated towards none.
    assert plan.steps.min() == -25 and plan.steps.max() == 25
    turns = (2 * draws[:, 5] - 1) * 0.1
    np.testing.assert_array_equal(plan.steps[:99], [int(turn * 255) for turn in turns[:99]])
    together = np.corrcoef(np.column_stack((happens, plan.factors, plan.steps)).T)
    assert abs(together - np.eye(5)).max() < 0.02


def test_a_setting_of_nothing_is_left_out():
    plan = plan_jitter(drawn(99, 6), 1.0, (0.4, 0.0, 0.4, 0.0))
    assert set(plan.order.ravel()) == {-1, colour_jitter.BRIGHTNESS, colour_jitter.SATURATION}
    image = PICTURES["noise"]  # where a turn of the hue by nothing would show
    np.testing.assert_array_equal(act(ColourJitter(1.0, 0, 0, 0, 0), image), image)


@pytest.mark.parametrize("settings", [(-0.1, 0, 0, 0), (0, 0, -1, 0), (0, 0, 0, 0.6)])
def test_nonsense_is_refused(settings):
    with pytest.raises(ValueError, match="expected settings of at least 0"):
        ColourJitter(0.8, *settings)
