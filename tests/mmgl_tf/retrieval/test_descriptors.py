import numpy as np
import pytest

from mmgl_tf.retrieval.descriptors import (
    DESCRIPTORS,
    centred,
    colour_histogram,
    gradient_histogram,
    grey_pixels,
    mean_colour,
)


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (3, 48, 24, 3), np.uint8)


def test_mean_colour_of_each_stripe(images):
    expected = [
        images[n, 8 * stripe : 8 * stripe + 8, :, channel].mean()
        for n in range(3)
        for stripe in range(6)
        for channel in range(3)
    ]
    np.testing.assert_allclose(mean_colour(images).ravel(), expected, rtol=1e-5)


def test_colour_histogram_of_each_stripe(images):
    found = colour_histogram(images).reshape(3, 6, 3, 8)
    for stripe in range(6):
        values = images[1, 8 * stripe : 8 * stripe + 8, :, 2].ravel()
        expected = [np.mean((values >= 32 * level) & (values < 32 * level + 32)) for level in range(8)]
        np.testing.assert_allclose(found[1, stripe, 2] ** 2, expected, rtol=1e-6)
    np.testing.assert_allclose((found**2).sum(-1), 1)


def test_grey_pixels_are_means_of_squares(images):
    expected = images.astype(np.float64).mean(-1).reshape(3, 24, 2, 12, 2).mean((2, 4))
    np.testing.assert_allclose(grey_pixels(images), expected.reshape(3, -1), rtol=1e-5)


def slow_gradient_histogram(grey, cell):
    """One pixel at a time."""
    height, width = grey.shape
    cells = np.zeros((height // cell, width // cell, 9))
    for y in range(height // cell * cell):
        for x in range(width // cell * cell):
            across = grey[y, x + 1] - grey[y, x - 1] if 0 < x < width - 1 else 0.0
            down = grey[y + 1, x] - grey[y - 1, x] if 0 < y < height - 1 else 0.0
            place = np.degrees(np.arctan2(down, across)) % 180 / 20 - 0.5
            for bin_ in (int(np.floor(place)), int(np.floor(place)) + 1):
                cells[y // cell, x // cell, bin_ % 9] += np.hypot(across, down) * (1 - abs(place - bin_))
    blocks = []
    for y in range(len(cells) - 1):
        for x in range(cells.shape[1] - 1):
            block = np.concatenate([cells[y, x], cells[y, x + 1], cells[y + 1, x], cells[y + 1, x + 1]])
            block = np.minimum(block / (np.linalg.norm(block) + 1e-3 * cell * cell), 0.2)
            blocks.append(block / (np.linalg.norm(block) + 1e-6))
    return np.concatenate(blocks)


@pytest.mark.parametrize("cell", [8, 7])
def test_gradient_histogram_as_the_slow_version(images, cell):
    grey = images[2].astype(np.float64).mean(-1)
    np.testing.assert_allclose(
        gradient_histogram(images, cell)[2], slow_gradient_histogram(grey, cell), atol=1e-4
    )


def test_centring_removes_the_mean_and_leaves_unit_length():
    rng = np.random.default_rng(0)
    features = rng.standard_normal((5, 4)) + 100
    expected = features - features.mean(0)
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    found = centred(features)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert (centred(np.full((2, 3), 7.0)) == 0).all()


def test_images_too_small_for_two_cells_are_refused(images):
    with pytest.raises(ValueError, match="have 3 x 1 cells of 16 pixels"):
        gradient_histogram(images, 16)


def test_the_table(images):
    larger = np.repeat(np.repeat(images, 2, axis=1), 2, axis=2)
    for describe in DESCRIPTORS.values():
        features = describe(larger)
        assert features.shape[0] == 3
        assert np.isfinite(features).all()
