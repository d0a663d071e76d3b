"""Each operation against Pillow, value by value."""

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps

from mmgl_tf.pipelines.augmentation import pixel_operations as pixels

HEIGHT, WIDTH = 96, 50


def textured(height=HEIGHT, width=WIDTH, channels=3, seed=0):
    noise = np.random.default_rng(seed).integers(0, 256, (height, width, channels), np.uint8)
    image = cv2.GaussianBlur(noise, (5, 5), 0).reshape(height, width, channels)
    image[10:30, 5:20] = 200  # flat regions, where truncation shows
    image[40:44] = 255
    image[50:54] = 0
    return image


def flat(value):
    return np.full((HEIGHT, WIDTH, 3), value, np.uint8)


IMAGES = {
    "texture": textured(),
    "dim": textured(seed=1) // 3 + np.array([20, 60, 7], np.uint8),
    "flat": flat(77),
    "black": flat(0),
    "two values": np.where(textured() > 128, 9, 8).astype(np.uint8),
    "one bright pixel": np.where(np.arange(HEIGHT * WIDTH * 3).reshape(HEIGHT, WIDTH, 3) < 3, 250, 13).astype(
        np.uint8
    ),
    "ramp": np.broadcast_to(np.arange(256, dtype=np.uint8)[:, None, None], (256, WIDTH, 3)).copy(),
}


def run(operation, image, *arguments, scratch=False):
    """The operation on RGB, after a check that grey images come out as their channels do."""
    results = []
    for part in (image, np.ascontiguousarray(image[:, :, 1:2])):
        out = np.full_like(part, 123)
        before = part.copy()
        extra = [pixels.Scratch(*part.shape)] if scratch else []
        operation(part, *arguments, out, *extra)
        np.testing.assert_array_equal(part, before)
        results.append(out)
    np.testing.assert_array_equal(results[0][:, :, 1:2], results[1])
    return results[0]


@pytest.fixture(params=IMAGES.values(), ids=IMAGES)
def image(request):
    return request.param


def test_autocontrast_is_pillows(image):
    expected = np.asarray(ImageOps.autocontrast(Image.fromarray(image)))
    np.testing.assert_array_equal(run(pixels.autocontrast, image, scratch=True), expected)


def test_every_stretch_table_is_pillows():
    for low in range(0, 256, 5):
        for high in range(low, 256, 3):
            line = np.linspace(low, high, 256).round().astype(np.uint8)[None]
            expected = np.asarray(ImageOps.autocontrast(Image.fromarray(line)))
            np.testing.assert_array_equal(pixels._stretch_table(low, high)[line], expected)


def test_equalize_is_pillows(image):
    expected = np.asarray(ImageOps.equalize(Image.fromarray(image)))
    np.testing.assert_array_equal(run(pixels.equalize, image, scratch=True), expected)


def test_equalize_is_pillows_where_the_table_overflows():
    """510 pixels: the step is 1, and the sum over it passes 255."""
    line = np.sort(np.random.default_rng(0).integers(0, 250, (17, 30), np.uint8))
    image = np.repeat(line[:, :, None], 3, axis=2)
    expected = np.asarray(ImageOps.equalize(Image.fromarray(image)))
    np.testing.assert_array_equal(run(pixels.equalize, image, scratch=True), expected)
    assert expected.max() == 255


@pytest.mark.parametrize("bits", range(1, 9))
def test_posterize_is_pillows(bits):
    ramp = IMAGES["ramp"]
    expected = np.asarray(ImageOps.posterize(Image.fromarray(ramp), bits))
    np.testing.assert_array_equal(run(pixels.posterize, ramp, bits), expected)


def test_posterize_to_no_bits_is_black():
    assert run(pixels.posterize, IMAGES["ramp"], 0).max() == 0


@pytest.mark.parametrize("threshold", [0, 1, 128, 180, 255, 256])
def test_solarize_is_pillows(threshold):
    ramp = IMAGES["ramp"]
    expected = np.asarray(ImageOps.solarize(Image.fromarray(ramp), threshold))
    np.testing.assert_array_equal(run(pixels.solarize, ramp, threshold), expected)


@pytest.mark.parametrize("right", [-60, -50, -7, 0, 1, 13, 50])
@pytest.mark.parametrize("down", [-100, -96, -9, 0, 5, 96])
def test_translate_is_pillows(right, down):
    image = IMAGES["texture"]
    expected = _pillow_affine(image, (1, 0, right, 0, 1, down))
    np.testing.assert_array_equal(run(pixels.translate, image, right, down), expected)


def _pillow_affine(image, affine):
    height, width, _ = image.shape
    picture = Image.fromarray(image).transform(
        (width, height), Image.Transform.AFFINE, affine, resample=Image.Resampling.BILINEAR
    )
    return np.asarray(picture)


def _warped(image, affine, warp=None):
    affines = np.array([affine], np.float64)
    matrix = pixels.opencv_matrices(affines)[0]
    first, end = pixels.inside_limits(affines, *image.shape[:2])
    return run(pixels.warp, image, matrix, first[0], end[0], scratch=True)


# No round fractions: with those, many exact results are whole numbers, which truncation sends either way.
AFFINES = [
    *((1, shear, 0, 0, 1, 0) for shear in (-0.2917, -0.0893, -0.0123, 0.031, 0.0871, 0.29)),
    *((1, 0, 0, shear, 1, 0) for shear in (-0.2917, -0.0893, -0.0123, 0.031, 0.0871, 0.29)),
]


@pytest.mark.parametrize("size", [(96, 50), (288, 144), (37, 61)])
@pytest.mark.parametrize("affine", AFFINES)
def test_a_shear_is_pillows_to_one_level(affine, size):
    _assert_nearly(_warped(textured(*size), affine), _pillow_affine(textured(*size), affine))


@pytest.mark.parametrize("size", [(96, 50), (288, 144), (37, 61)])
@pytest.mark.parametrize("degrees", [-30, -9, -5, -1, 1, 2, 8, 29])
def test_a_rotation_is_pillows_to_one_level(degrees, size):
    image = textured(*size)
    expected = np.asarray(Image.fromarray(image).rotate(degrees, resample=Image.Resampling.BILINEAR))
    _assert_nearly(_warped(image, pixels.rotation(degrees, *size)), expected)


def _assert_nearly(result, expected):
    difference = abs(result.astype(int) - expected.astype(int))
    assert difference.max() <= 1
    assert difference.mean() < 2e-3


def test_the_fast_warp_is_near():
    image = textured(288, 144)
    matrix = pixels.opencv_matrices(np.array([AFFINES[3]]))[0]
    result = run(pixels.fast_warp, image, matrix, scratch=True)
    difference = result.astype(int) - _pillow_affine(image, AFFINES[3])
    # Rounded instead of truncated: brighter by nearly half a level.
    assert 0.3 < np.median(difference[20:-20, 20:-20].mean()) < 0.6
