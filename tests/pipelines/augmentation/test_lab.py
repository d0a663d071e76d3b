"""CIE L*a*b* against its definition, in float64."""

import numpy as np
import pytest

from mmgl_tf.pipelines.augmentation.lab import lab_of, lightness_of, rgb_of
from tests.pipelines.augmentation.pictures import noise

# IEC 61966-2-1: linear sRGB to XYZ, and the white point D65 of the 2 degree observer.
TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
WHITE = np.array([0.95047, 1.0, 1.08883])


def by_definition(rgb):
    """[..., 3] in 0..255 -> L, a, b."""
    share = np.asarray(rgb, np.float64) / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    ratio = linear @ TO_XYZ.T / WHITE
    root = np.where(ratio > (6 / 29) ** 3, np.cbrt(ratio), ratio * (29 / 6) ** 2 / 3 + 4 / 29)
    x, y, z = np.moveaxis(root, -1, 0)
    return np.stack((116 * y - 16, 500 * (x - y), 200 * (y - z)), axis=-1)


def cube(step):
    """Every `step`-th value of each channel, and white."""
    values = np.unique([*range(0, 256, step), 255]).astype(np.uint8)
    return np.stack(np.meshgrid(values, values, values, indexing="ij"), axis=-1).reshape(len(values), -1, 3)


@pytest.mark.parametrize("kind", [np.uint8, np.float32])
def test_lab_is_its_definition(kind):
    colours = cube(5)
    lab = lab_of(colours.astype(kind))
    assert lab.dtype == np.float32
    np.testing.assert_allclose(lab, by_definition(colours), rtol=0, atol=1e-3)
    lightness = lightness_of(colours.astype(kind))
    np.testing.assert_allclose(lightness, by_definition(colours)[..., 0], rtol=0, atol=1e-3)


def test_between_whole_levels_too():
    colours = np.random.default_rng(0).uniform(0, 255, (40, 30, 3)).astype(np.float32)
    np.testing.assert_allclose(lab_of(colours), by_definition(colours), rtol=0, atol=1e-3)


def test_known_colours():
    """Of textbooks: white, black, middle grey, and the three primaries."""
    colours = np.array([[[255] * 3, [0] * 3, [119] * 3, [255, 0, 0], [0, 255, 0], [0, 0, 255]]], np.uint8)
    known = [
        (100, 0, 0),
        (0, 0, 0),
        (50.03, 0, 0),
        (53.24, 80.09, 67.20),
        (87.73, -86.18, 83.18),
        (32.30, 79.19, -107.86),
    ]
    np.testing.assert_allclose(lab_of(colours)[0], known, rtol=0, atol=0.02)


def test_grey_has_no_colour_and_one_channel_is_three_equal_ones():
    image = noise(channels=1)
    lab = lab_of(image)
    np.testing.assert_array_equal(lab, lab_of(image.repeat(3, axis=2)))
    np.testing.assert_allclose(lightness_of(image), lab[..., 0], rtol=0, atol=1e-3)
    assert abs(lab[..., 1:]).max() < 1e-3
    assert lab[..., 0].min() >= -1e-4 and lab[..., 0].max() <= 100 + 1e-4


def test_back_to_levels():
    colours = cube(15)
    np.testing.assert_array_equal(rgb_of(lab_of(colours)), colours)
    np.testing.assert_array_equal(rgb_of(by_definition(colours)), colours)
    assert rgb_of(np.array([[[50.0, 120.0, -120.0]]])).dtype == np.uint8  # no colour of sRGB
