import numpy as np
import pytest
from PIL import Image

from mmgl_tf.pipelines.augmentation.hue import turn_hue
from mmgl_tf.pipelines.augmentation.working_memory import WorkingMemory
from tests.pipelines.augmentation.pictures import PICTURES


def turned(image, steps):
    out = np.empty_like(image)
    turn_hue(image, steps, out, WorkingMemory())
    return out


def by_pillow(image, steps):
    """As torchvision does with a Pillow image."""
    hue, saturation, value = Image.fromarray(image).convert("HSV").split()
    hue = Image.fromarray((np.asarray(hue).astype(np.int64) + steps).astype(np.uint8))
    return np.asarray(Image.merge("HSV", (hue, saturation, value)).convert("RGB"))


@pytest.mark.parametrize("steps", [0, 1, -1, 25, -25, 127, -127])
@pytest.mark.parametrize("image", PICTURES.values(), ids=PICTURES)
def test_a_turn_is_pillows(image, steps):
    np.testing.assert_array_equal(turned(image, steps), by_pillow(image, steps))


@pytest.mark.parametrize("first", [0, 17])
def test_it_is_pillows_for_all_colours(first):
    """Every value of a channel beside every seventh of the two others; the seven turns take turns."""
    values, some = np.arange(256), np.arange(first % 7, 256, 7)
    for axes, steps in (((0, 1, 2), -13), ((1, 2, 0), 8), ((2, 0, 1), 77)):
        grid = np.stack(np.meshgrid(values, some, some, indexing="ij"), axis=-1).astype(np.uint8)
        image = np.ascontiguousarray(grid[..., axes]).reshape(256, -1, 3)
        np.testing.assert_array_equal(turned(image, steps), by_pillow(image, steps))


def test_a_full_turn_is_none_and_grey_has_no_hue():
    image = PICTURES["noise"]
    np.testing.assert_array_equal(turned(image, 256 - 31), turned(image, -31))
    np.testing.assert_array_equal(turned(PICTURES["grey"], 99), PICTURES["grey"])
