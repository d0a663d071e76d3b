import numpy as np
import pytest
from PIL import Image, ImageOps

from mmgl_tf.pipelines.augmentation.operations.solarise import Solarise
from tests.pipelines.augmentation.pictures import PICTURES, act, drawn


@pytest.mark.parametrize("threshold", [0, 1, 128, 200, 255, 256])
@pytest.mark.parametrize("image", PICTURES.values(), ids=PICTURES)
def test_solarising_is_pillows(image, threshold):
    expected = np.asarray(ImageOps.solarize(Image.fromarray(image), threshold))
    np.testing.assert_array_equal(act(Solarise(1.0, threshold), image), expected)
    grey = np.ascontiguousarray(image[:, :, :1])
    np.testing.assert_array_equal(act(Solarise(1.0, threshold), grey), expected[:, :, :1])
    np.testing.assert_array_equal(act(Solarise(0.0, threshold), image), image)


def test_the_usual_threshold_is_pillows():
    image = PICTURES["noise"]
    np.testing.assert_array_equal(
        act(Solarise(1.0), image), np.asarray(ImageOps.solarize(Image.fromarray(image)))
    )


def test_it_follows_its_probability():
    assert abs(Solarise(0.2).plan(drawn(20000, 1), (9, 9), (9, 9)).mean() - 0.2) < 0.01
