import random

import numpy as np
import pytest

from mmgl_tf.pipelines.augmentation.operations.erase import Erase, erase_shuffled, plan_erasing
from mmgl_tf.pipelines.augmentation.stripes import shuffle_stripes
from mmgl_tf.pipelines.random_plan import Stream, uniforms

DRAWS_PER_ERASE = 1 + 4 * 8  # whether at all, then area, aspect and place of each try


def drawn(number, count):
    return uniforms(3, Stream.VISIBLE_IMAGES, 0, np.arange(number), count)


def boxes_of(number=20000, probability=0.5, height=288, width=144):
    draws = drawn(number, DRAWS_PER_ERASE)
    return plan_erasing(draws, probability, 0.02, 0.4, 0.3, height, width)


def test_boxes_stay_inside_and_have_the_published_sizes():
    boxes = boxes_of()
    erased = boxes[boxes[:, 2] > 0]
    assert abs(len(erased) / len(boxes) - 0.5) < 0.012
    top, left, height, width = erased.T
    assert top.min() == 0 and left.min() == 0
    assert (top + height).max() == 288 and (left + width).max() == 144
    area, aspect = height * width / (288 * 144), height / width
    assert 0.018 < area.min() < 0.03 and 0.39 < area.max() < 0.402
    assert 0.28 < aspect.min() < 0.4 and 3.2 < aspect.max() < 3.5


def test_area_and_aspect_are_uniform_where_every_box_fits():
    draws = drawn(20000, DRAWS_PER_ERASE)
    boxes = plan_erasing(draws, 1.0, 0.02, 0.1, 0.5, 1000, 1000)
    area = boxes[:, 2] * boxes[:, 3] / 1e6
    aspect = boxes[:, 2] / boxes[:, 3]
    for values, low, high in ((area, 0.02, 0.1), (aspect, 0.5, 2.0)):
        counts = np.histogram(values, 10, (low, high))[0]
        assert abs(counts / 2000 - 1).max() < 0.1
    free = 1000 - boxes[:, 2:]
    for place, room in ((boxes[:, 0], free[:, 0]), (boxes[:, 1], free[:, 1])):
        assert (place <= room).all()
        assert abs((place / room).mean() - 0.5) < 0.01


def test_hardly_an_image_has_no_fitting_try():
    missed = (boxes_of(200_000, 1.0)[:, 2] == 0).mean()
    assert missed < 2e-5


def test_the_first_fitting_try_is_taken():
    draws = np.full((1, DRAWS_PER_ERASE), 0.5)
    draws[0, 0] = 0.0
    draws[0, 1:5] = (0.999, 0.0, 0.1, 0.1)  # 40 % of the area, flat: wider than the image
    draws[0, 5:9] = (0.0, 0.2, 0.0, 0.999)
    top, left, height, width = plan_erasing(draws, 0.5, 0.02, 0.4, 0.3, 288, 144)[0]
    area, aspect = 0.02 * 288 * 144, 0.3 + 0.2 * (1 / 0.3 - 0.3)
    assert (height, width) == (round((area * aspect) ** 0.5), round((area / aspect) ** 0.5))
    assert (top, left) == (0, 144 - width)


def slow_box(draws, height, width):
    """torchvision 0.4's `RandomErasing.get_params`, by its description, on given draws."""
    if draws[0] >= 0.5:
        return [0, 0, 0, 0]
    for share, ratio, down, right in np.reshape(draws[1:], (10, 4)):
        area, aspect = height * width * (0.02 + share * 0.31), 0.3 + ratio * 3.0
        h, w = int(np.rint(np.sqrt(area * aspect))), int(np.rint(np.sqrt(area / aspect)))
        if h < height and w < width:
            return [int(down * (height - h + 1)), int(right * (width - w + 1)), h, w]
    return [0, 0, 0, 0]


def test_ten_tries_of_a_linear_aspect_are_torchvisions():
    erase = Erase(0.5, 0.02, 0.33, 0.3, 3.3, 10)
    assert erase.draws == 41
    draws = drawn(2000, 41)
    draws[5, 0], draws[5, 1::4], draws[5, 2::4] = 0.1, 0.999, 0.001  # flat and large: none fits
    found = erase.plan(draws, (384, 128), (384, 128))
    assert found.tolist() == [slow_box(row, 384, 128) for row in draws]
    assert not found[5].any()


def test_the_defaults_are_the_inverse_aspect_and_eight_tries():
    draws = drawn(500, DRAWS_PER_ERASE)
    erase = Erase(0.5, 0.02, 0.4, 0.3)
    assert erase.draws == DRAWS_PER_ERASE == 33
    np.testing.assert_array_equal(
        erase.plan(draws, (288, 144), (288, 144)), plan_erasing(draws, 0.5, 0.02, 0.4, 0.3, 288, 144)
    )
    limited = Erase(0.5, 0.02, 0.4, 0.3, 1.0).plan(draws, (288, 144), (288, 144))
    assert (limited[:, 2] <= limited[:, 3] + 1).all(), "no box is higher than wide"


def test_erasing_before_shuffling_equals_erasing_the_shuffled_box():
    rng = np.random.default_rng(0)
    for _ in range(200):
        image = rng.random((24, 10, 3), np.float32) + 1
        order = rng.permutation(6)
        top, left = rng.integers(0, 24), rng.integers(0, 10)
        box = np.array([top, left, rng.integers(0, 25 - top), rng.integers(0, 11 - left)])
        shuffled = shuffle_stripes(image[None], order[None])[0]
        erase_shuffled(shuffled, box, order)
        image[top : top + box[2], left : left + box[3]] = 0
        np.testing.assert_array_equal(shuffled, shuffle_stripes(image[None], order[None])[0])


class PythonsDice:
    """The numbers of Python's generator, as the released code of CAJ draws them."""

    def __init__(self, seed):
        self._random = random.Random(seed)
        self.uniform, self.randint = self._random.uniform, self._random.randint

    def begin_try(self, number):
        """The next numbers are next in line, whatever the try."""


class GivenDice:
    """The numbers of a row of draws: one that decides, then four for each try."""

    def __init__(self, draws):
        self._draws, self._next = draws, 0

    def begin_try(self, number):
        self._next = 1 + 4 * number

    def _one(self):
        self._next += 1
        return self._draws[self._next - 1]

    def uniform(self, low, high):
        return low + self._one() * (high - low)

    def randint(self, low, high):
        return low + int(self._one() * (high - low + 1))


def slow_erasing(image, fill, dice, tries):
    """CAJ's erasing (spec 4.5), in place; (top, height, left, width), or None."""
    height, width, _ = image.shape
    if dice.uniform(0, 1) > 0.5:
        return None
    for number in range(tries):
        dice.begin_try(number)
        area = dice.uniform(0.02, 0.4) * height * width
        aspect = dice.uniform(0.3, 1 / 0.3)
        h, w = round((area * aspect) ** 0.5), round((area / aspect) ** 0.5)
        if w < width and h < height:
            top, left = dice.randint(0, height - h), dice.randint(0, width - w)
            for row in range(top, top + h):
                for column in range(left, left + w):
                    image[row, column] = fill
            return top, h, left, w
    return None


def test_the_slow_erasing_is_that_of_the_released_code():
    dice = PythonsDice(0)
    found = [slow_erasing(np.zeros((288, 144, 3)), (1, 1, 1), dice, 100) for _ in range(8)]
    expected = [None, None, (103, 95, 38, 52), None, (35, 120, 9, 124), (136, 80, 90, 29), None, None]
    assert found == expected


def test_erasing_follows_the_slow_one_value_by_value():
    operation = Erase(0.5, 0.02, 0.4, 0.3, fill=(0.4914, 0.4822, 0.4465))
    draws = drawn(40, operation.draws)
    draws[:12, 1:3] = (0.99, 0.01)  # wider than the image, so that the second try counts
    plan = operation.plan(draws, (36, 18), (36, 18))
    tried_again = 0
    for row in range(len(draws)):
        found, expected = np.random.default_rng(row).random((2, 36, 18, 3), np.float32)
        expected[:] = found
        box = slow_erasing(expected, operation.fill, GivenDice(draws[row]), 8)
        first_try = slow_erasing(np.empty((36, 18, 3)), (0, 0, 0), GivenDice(draws[row]), 1)
        tried_again += box != first_try
        operation.finish(found, plan, row, np.array([0]))
        np.testing.assert_array_equal(found, expected)
    assert tried_again, "no second try was needed, so none was tested"


def test_empty_ranges_are_refused():
    with pytest.raises(ValueError, match=r"--erase_min_area=0\.5 is above --erase_max_area=0\.4"):
        Erase(0.5, 0.5, 0.4, 0.3)
    with pytest.raises(ValueError, match=r"--erase_min_aspect=0\.5 is above --erase_max_aspect=0\.4"):
        Erase(0.5, 0.02, 0.4, 0.5, 0.4)
    with pytest.raises(ValueError, match="--erase_tries=0"):
        Erase(0.5, 0.02, 0.4, 0.3, 3.3, 0)
