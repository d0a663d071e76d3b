import numpy as np
import pytest

from mmgl_tf.pipelines.augmentation.operations.flip import Flip
from tests.pipelines.augmentation.pictures import act, drawn, textured


@pytest.mark.parametrize("channels", [1, 3])
def test_a_flip_is_a_mirror_image(channels):
    image = textured(channels=channels)
    np.testing.assert_array_equal(act(Flip(1.0), image), image[:, ::-1])
    np.testing.assert_array_equal(act(Flip(0.0), image), image)


def test_flips_follow_their_probability():
    assert abs(Flip(0.3).plan(drawn(20000, 1), (9, 9), (9, 9)).mean() - 0.3) < 0.01
