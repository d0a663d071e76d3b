import numpy as np
import pytest
from PIL import Image, ImageFilter

from mmgl_tf.pipelines.augmentation.operations.gaussian_blur import GaussianBlur, blur
from tests.pipelines.augmentation.pictures import PICTURES, act, drawn, textured

SIGMAS = [0.1, 0.3, 0.77, 1.0, 1.61, 2.0]


def by_formula(image, sigma):
    """The whole kernel of about a tenth of the height, in float64, not rounded; borders mirrored."""
    reach = len(image) // 20
    kernel = np.exp(-(np.arange(-reach, reach + 1.0) ** 2) / (2 * sigma**2))
    result = image.astype(np.float64)
    for axis in (0, 1):
        margin = [(reach, reach) if each == axis else (0, 0) for each in range(3)]
        windows = np.lib.stride_tricks.sliding_window_view(
            np.pad(result, margin, mode="reflect"), len(kernel), axis=axis
        )
        result = windows @ (kernel / kernel.sum())
    return result


def blurred(image, sigma):
    out = np.full_like(image, 99)
    blur(image, sigma, out)
    return out


@pytest.mark.parametrize("sigma", SIGMAS)
@pytest.mark.parametrize("size", [(96, 50), (288, 144), (128, 64)])
def test_a_blur_is_the_convolution_rounded(size, sigma):
    image = textured(*size)
    np.testing.assert_allclose(blurred(image, sigma), by_formula(image, sigma), rtol=0, atol=0.5 + 1e-3)
    grey = np.ascontiguousarray(image[:, :, :1])
    np.testing.assert_array_equal(blurred(grey, sigma), blurred(image, sigma)[:, :, :1])


@pytest.mark.parametrize("sigma", SIGMAS)
def test_it_is_near_to_pillows_which_is_of_boxes(sigma):
    image = textured(288, 144)
    expected = np.asarray(Image.fromarray(image).filter(ImageFilter.GaussianBlur(sigma))).astype(int)
    difference = abs(blurred(image, sigma) - expected)[4:-4, 4:-4]
    assert difference.mean() < 1.5 and difference.max() <= 30


def test_what_is_flat_stays_flat_and_nothing_gets_brighter():
    for name in ("flat", "black", "white"):
        np.testing.assert_array_equal(blurred(PICTURES[name], 2.0), PICTURES[name])
    image = PICTURES["noise"]
    assert abs(blurred(image, 2.0).mean() - image.mean()) < 2.0
    assert blurred(image, 2.0).std() < 0.3 * image.std()


def test_plans_follow_their_probability_and_are_uniform():
    sigmas = GaussianBlur(0.4).plan(drawn(40000, 2), (9, 9), (9, 9))
    happens = sigmas > 0
    assert abs(happens.mean() - 0.4) < 0.01
    assert sigmas[happens].min() >= 0.1 and sigmas.max() <= 2.0
    assert abs(np.histogram(sigmas[happens], 4, (0.1, 2.0))[0] / happens.sum() - 0.25).max() < 0.01
    image = PICTURES["texture"]
    np.testing.assert_array_equal(act(GaussianBlur(0.0), image), image)
    expected = blurred(image, float(GaussianBlur(1.0).plan(drawn(1, 2), (9, 9), (9, 9))[0]))
    np.testing.assert_array_equal(act(GaussianBlur(1.0), image), expected)


@pytest.mark.parametrize("sigmas", [(0.0, 2.0), (2.0, 1.0)])
def test_nonsense_is_refused(sigmas):
    with pytest.raises(ValueError, match="0 < min <= max"):
        GaussianBlur(0.5, *sigmas)
