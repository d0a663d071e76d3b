import numpy as np
import pytest
from PIL import Image

from mmgl_tf.pipelines.augmentation.resize import resize
from mmgl_tf.pipelines.augmentation.working_memory import WorkingMemory
from tests.pipelines.augmentation.pictures import noise, textured

SIZES = [
    ((250, 100), (288, 144)),  # larger
    ((287, 91), (288, 144)),
    ((170, 85), (128, 64)),  # smaller, as small crops are
    ((100, 70), (128, 64)),  # larger along one axis, smaller along the other
    ((170, 50), (128, 64)),
    ((288, 144), (31, 33)),  # many times smaller
    ((96, 30), (96, 48)),  # equal along one axis
    ((200, 48), (96, 48)),
    ((1, 1), (7, 5)),
    ((7, 5), (1, 1)),
]


def resized(image, size):
    out = np.full((*size, image.shape[2]), 99, np.uint8)
    resize(image, out, WorkingMemory())
    return out


def matrix(source, target):
    """Weights [target, source] of an axis: triangles about the middles, wide enough to meet."""
    scale = source / target
    weights = np.zeros((target, source))
    for place in range(target):
        middle = (place + 0.5) * scale
        for pixel in range(source):
            weights[place, pixel] = max(0.0, 1.0 - abs(pixel + 0.5 - middle) / max(scale, 1.0))
    return weights / weights.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("sizes", SIZES)
def test_resizing_is_the_formula_rounded(sizes, channels):
    source, target = sizes
    image = noise(*source, channels)
    rows, columns = (matrix(*each) for each in zip(source, target, strict=True))
    expected = np.einsum("ai,bj,ijc->abc", rows, columns, image.astype(np.float64), optimize=True)
    np.testing.assert_allclose(resized(image, target), expected, rtol=0, atol=0.5 + 1e-3)


@pytest.mark.parametrize("sizes", SIZES)
def test_it_is_pillows_to_one_level(sizes):
    """Pillow rounds between its two passes too."""
    source, target = sizes
    for image in (noise(*source), textured(*source)):
        expected = np.asarray(Image.fromarray(image).resize(target[::-1], Image.Resampling.BILINEAR))
        difference = abs(resized(image, target).astype(int) - expected)
        assert difference.max() <= 1
        assert difference.mean() < 0.25
    if source[0] == target[0]:  # one pass, one rounding: equal but for ties
        image = noise(*source)
        expected = np.asarray(Image.fromarray(image).resize(target[::-1], Image.Resampling.BILINEAR))
        assert (resized(image, target) != expected).mean() < 0.05


def test_a_part_of_an_image_is_resized_without_what_is_beside_it():
    image = noise(60, 40)
    part = image[10:50, 5:30]
    np.testing.assert_array_equal(resized(part, (80, 60)), resized(part.copy(), (80, 60)))
    np.testing.assert_array_equal(resized(part, (20, 60)), resized(part.copy(), (20, 60)))


def test_the_same_size_changes_nothing():
    image = noise(60, 40)
    np.testing.assert_array_equal(resized(image, (60, 40)), image)
