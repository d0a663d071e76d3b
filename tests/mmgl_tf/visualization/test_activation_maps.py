import warnings

import numpy as np
import pytest
from matplotlib import colormaps

from mmgl_tf.visualization import activation_maps as module
from mmgl_tf.visualization.activation_maps import activation_maps, heat, overlay
from mmgl_tf.visualization.grid import Sheet

TEXTS = {"split": "test people", "rule": "2 of 9 people, drawn at random with seed 0"}


@pytest.fixture
def random():
    return np.random.default_rng(3)


def cubic(distance):
    """The bicubic kernel with a = -1/2."""
    d = abs(distance)
    if d < 1:
        return 1.5 * d**3 - 2.5 * d**2 + 1
    return -0.5 * d**3 + 2.5 * d**2 - 4 * d + 2 if d < 2 else 0.0


def grow(line, size):
    """One line of cells made `size` long: a cell's value is at its centre, weights sum to one."""
    result = []
    for pixel in range(size):
        place = (pixel + 0.5) * len(line) / size - 0.5
        weights = np.array([cubic(place - cell) for cell in range(len(line))])
        result.append((weights * line).sum() / weights.sum())
    return np.array(result)


def test_heat_is_the_norm_over_channels_scaled_per_image_and_grown_bicubically(random):
    maps = random.normal(size=(3, 6, 3, 5)) * np.array([1.0, 100.0, 0.01])[:, None, None, None]
    strengths, contrast = heat(maps, 24, 12)
    assert strengths.shape == (3, 24, 12)
    assert strengths.dtype == np.float32
    for one, strength, share in zip(maps, strengths, contrast, strict=True):
        norms = np.array([[np.sqrt((cell**2).sum()) for cell in row] for row in one])
        assert share == pytest.approx(norms.min() / norms.max())
        scaled = (norms - norms.min()) / (norms.max() - norms.min())
        tall = np.stack([grow(column, 24) for column in scaled.T], axis=1)
        expected = np.clip(np.stack([grow(row, 12) for row in tall]), 0, 1)
        np.testing.assert_allclose(strength, expected, atol=1e-4)


def test_heat_stays_within_its_scale_and_flat_maps_stay_cold():
    spike = np.zeros((1, 4, 4, 2))
    spike[0, 1, 1] = 3.0
    strengths, contrast = heat(spike, 64, 64)
    assert strengths.min() == 0.0
    assert 0.99 < strengths.max() <= 1.0
    assert contrast == 0.0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for value in (0.0, 2.0):
            strengths, contrast = heat(np.full((1, 4, 2, 3), value), 8, 4)
            assert not strengths.any()
            assert contrast == 1.0


def test_overlay_mixes_grey_and_colour(random):
    image = random.integers(0, 256, (5, 4, 3), np.uint8)
    strength = random.uniform(size=(5, 4))
    result = overlay(image, strength)
    assert result.dtype == np.uint8
    for y in range(5):
        for x in range(4):
            colour = 255 * np.array(colormaps[module.COLOURS](strength[y, x])[:3])
            expected = (1 - module.OPACITY) * image[y, x].mean() + module.OPACITY * colour
            np.testing.assert_allclose(result[y, x], expected, atol=0.51)


def flat(values, height=24, width=12):
    colours = np.stack(np.broadcast_arrays(np.asarray(values, np.uint8), np.uint8(0), np.uint8(200)), axis=-1)
    return np.broadcast_to(colours[:, None, None, :], (len(colours), height, width, 3))


def box(picture, value):
    rows, columns = np.nonzero((picture == (value, 0, 200)).all(-1))
    return rows.min(), rows.max(), columns.min(), columns.max()


def test_each_image_stands_beside_its_own_overlay_and_the_modalities_side_by_side(random, monkeypatch):
    texts, notes = [], []
    write, make = Sheet.text, Sheet.__init__

    def spy_text(self, x, y, text, *args, **kwargs):
        texts.append((text, x, y))
        write(self, x, y, text, *args, **kwargs)

    def spy_sheet(self, width, body_height, title, sentences=()):
        notes.extend(sentences)
        make(self, width, body_height, title, sentences)

    monkeypatch.setattr(Sheet, "text", spy_text)
    monkeypatch.setattr(Sheet, "__init__", spy_sheet)
    maps = [random.uniform(0.5, 1.0, size=(2, 6, 3, 4)) for _ in range(2)]
    captions = ["person 4", "person 8"]
    visible, infrared = flat([100, 101]), flat([150, 151])
    picture = activation_maps(visible, infrared, *maps, captions, **TEXTS)
    assert notes[0] == "Test people. Shown: 2 of 9 people, drawn at random with seed 0."
    for words in ("6 x 3 cells", "own scale", "cannot be compared"):
        assert words in notes[1]
    shown = {text: (x, y) for text, x, y in texts}
    for person in range(2):
        left_end = None
        for values, features in ((100, maps[0]), (150, maps[1])):
            top, bottom, left, right = box(picture, values + person)
            assert bottom - top + 1 == module.IMAGE_PIXELS
            width = right - left + 1
            strength, contrast = heat(features[person : person + 1], module.IMAGE_PIXELS, width)
            expected = overlay(picture[top : bottom + 1, left : right + 1], strength[0])
            start = right + 1 + module.GAP
            np.testing.assert_array_equal(picture[top : bottom + 1, start : start + width], expected)
            below = [text for text, x, y in texts if start < x < start + width and bottom < y < bottom + 24]
            assert below == [f"{contrast[0]:.2f}"]
            assert left_end is None or left > left_end
            left_end = right
        assert shown[captions[person]][1] < top
    assert box(picture, 100)[3] < box(picture, 101)[2]


@pytest.mark.parametrize("count", [1, 3, 7])
def test_any_number_of_people_fits_the_page(random, count):
    maps = random.normal(size=(count, 6, 3, 4))
    images = flat(np.arange(count), 288, 144)
    picture = activation_maps(images, images, maps, maps, ["p"] * count, **TEXTS)
    assert 720 <= picture.shape[1] <= 1600
    assert (picture[:, -10:] == 255).all()
    assert (picture[-10:] == 255).all()


def test_float_images_are_unnormalised(random):
    maps = random.normal(size=(1, 2, 2, 4))
    image = np.full((1, 8, 4, 3), -0.5, "f4")
    picture = activation_maps(
        image, image, maps, maps, ["p"], **TEXTS, mean=(0.5, 0.25, 0.75), std=(0.5,) * 3
    )
    assert (picture == (64, 0, 128)).all(-1).sum() == 2 * module.IMAGE_PIXELS * 108
    with pytest.raises(ValueError, match="without mean and std"):
        activation_maps(image, image, maps, maps, ["p"], **TEXTS)


@pytest.mark.parametrize("change", [0, 1, 2, 3, 4])
def test_what_does_not_belong_together_is_refused(change):
    arguments = [flat([1, 2]), flat([1, 2]), np.ones((2, 3, 3, 4)), np.ones((2, 3, 3, 4)), ["a", "b"]]
    arguments[change] = arguments[change][:1]
    with pytest.raises(ValueError, match=r"expected \[B, H, W, 3\], \[B, h, w, C\] and B"):
        activation_maps(*arguments, **TEXTS)
