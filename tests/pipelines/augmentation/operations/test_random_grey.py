import numpy as np
import pytest
from PIL import Image

from mmgl_tf.pipelines.augmentation.grey import grey_levels
from mmgl_tf.pipelines.augmentation.operations.random_grey import RandomGrey
from mmgl_tf.pipelines.augmentation.working_memory import WorkingMemory
from tests.pipelines.augmentation.pictures import PICTURES, act, drawn, textured


@pytest.mark.parametrize("image", PICTURES.values(), ids=PICTURES)
def test_grey_is_pillows(image):
    result = act(RandomGrey(1.0), image)
    assert result.shape == (*image.shape[:2], 1)
    np.testing.assert_array_equal(result[:, :, 0], np.asarray(Image.fromarray(image).convert("L")))
    np.testing.assert_array_equal(act(RandomGrey(0.0), image), image)


def test_grey_levels_are_pillows_for_colours_on_the_edge_of_rounding():
    """65536 colours whose weighted sums lie nearest to half a level, of two million."""
    colours = np.arange(1 << 21, dtype=np.uint32)
    red, green, blue = colours & 255, colours >> 8 & 255, (colours >> 16) * 8 + 3
    sums = (19595 * red + 38470 * green + 7471 * blue + 32768) & 65535
    near = np.argpartition(np.minimum(sums, 65535 - sums), 65536)[:65536]
    image = np.stack((red[near], green[near], blue[near]), axis=-1).astype(np.uint8).reshape(256, 256, 3)
    expected = np.asarray(Image.fromarray(image).convert("L"))
    np.testing.assert_array_equal(grey_levels(image, WorkingMemory())[:, :, 0], expected)


def test_what_is_grey_stays_as_it_is():
    image = textured(channels=1)
    np.testing.assert_array_equal(act(RandomGrey(1.0), image), image)


def test_it_follows_its_probability():
    assert abs(RandomGrey(0.66).plan(drawn(20000, 1), (9, 9), (9, 9)).mean() - 0.66) < 0.01
