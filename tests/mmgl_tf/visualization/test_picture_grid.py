import warnings

import numpy as np
import pytest
from PIL import Image

from mmgl_tf.visualization import grid

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def normalise(pixels):
    return ((pixels / np.float32(255) - np.array(MEAN, "f4")) / np.array(STD, "f4")).astype(np.float32)


def test_every_pixel_value_survives_normalising_and_back():
    pixels = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)
    np.testing.assert_array_equal(grid.unnormalise(normalise(pixels), MEAN, STD), pixels)


def test_unnormalise_known_pixel_clips_and_passes_uint8_through():
    # Zero is the mean: 0.485 * 255 = 123.675, 0.456 * 255 = 116.28, 0.406 * 255 = 103.53.
    assert grid.unnormalise(np.zeros((1, 3), "f4"), MEAN, STD).tolist() == [[124, 116, 104]]
    assert grid.unnormalise(np.array([[9.0, -9.0, 9.0]]), MEAN, STD).tolist() == [[255, 0, 255]]
    pixels = np.array([[1, 2, 250]], np.uint8)
    assert grid.unnormalise(pixels, MEAN, STD) is pixels


def test_unnormalise_shows_a_broken_batch_without_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        shown = grid.unnormalise(np.array([[np.nan, np.inf, -np.inf]]), MEAN, STD)
    assert shown.tolist() == [[0, 255, 0]]


@pytest.mark.parametrize("num_stripes", [2, 3, 6])
def test_restore_stripes_undoes_a_shuffle_bit_for_bit(num_stripes):
    draw = np.random.default_rng(num_stripes)
    images = draw.normal(size=(5, 12, 4, 3)).astype(np.float32)
    orders = np.stack([draw.permutation(num_stripes) for _ in images])
    shuffled = np.empty_like(images)
    rows = 12 // num_stripes
    for b, order in enumerate(orders):
        for slot, original in enumerate(order):
            shuffled[b, slot * rows : (slot + 1) * rows] = images[b, original * rows : (original + 1) * rows]
    np.testing.assert_array_equal(grid.restore_stripes(shuffled, orders), images)


def test_restore_stripes_is_the_inverse_and_not_the_shuffle_itself():
    # A three-cycle is not its own inverse: slot 0 holds stripe 1, slot 1 stripe 2, slot 2 stripe 0.
    shuffled = np.array([1, 2, 0], np.uint8).reshape(1, 3, 1, 1)
    assert grid.restore_stripes(shuffled, [[1, 2, 0]]).ravel().tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("permutation", "message"),
    [
        ([[0, 1, 1]], r"expected each of 0..2 once.*linear_sum_assignment"),
        ([0, 1, 2], r"expected \[B, N\]"),
        ([[0, 1, 2], [2, 1, 0]], "2 stripe orders for 1 images"),
        ([[0, 1, 2, 3, 4, 5, 6]], "7 stripes do not divide an image height of 12"),
    ],
)
def test_restore_stripes_says_what_is_wrong(permutation, message):
    with pytest.raises(ValueError, match=message):
        grid.restore_stripes(np.zeros((1, 12, 4, 3)), permutation)


def test_wrap_keeps_every_word_and_the_width():
    face = grid.font(14)
    text = "one two three four five six seven eight nine ten"
    lines = grid.wrap(text, 90, face)
    assert len(lines) > 1
    assert " ".join(lines) == text
    assert max(face.getlength(line) for line in lines) <= 90
    assert grid.wrap("incomprehensibilities", 20, face) == ["incomprehensibilities"]


def test_write_png_makes_directories_and_keeps_the_pixels(tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (7, 5, 3), np.uint8)
    path = tmp_path / "a" / "b.png"
    grid.write_png(image, path)
    np.testing.assert_array_equal(np.array(Image.open(path)), image)
    assert [entry.name for entry in path.parent.iterdir()] == ["b.png"]


def test_write_png_that_fails_half_way_leaves_the_old_picture(tmp_path, monkeypatch):
    path = tmp_path / "panel.png"
    grid.write_png(np.zeros((2, 2, 3), np.uint8), path)
    before = path.read_bytes()

    def full_disk(self, fp, format=None, **params):
        fp.write_bytes(b"half a pict")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full_disk)
    with pytest.raises(OSError, match="No space left"):
        grid.write_png(np.full((2, 2, 3), 255, np.uint8), path)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["panel.png"]


@pytest.mark.parametrize(
    "array", [np.zeros((2, 2, 3)), np.zeros((2, 2), np.uint8), np.zeros((2, 2, 4), np.uint8)]
)
def test_write_png_refuses_what_is_not_an_rgb_image(array, tmp_path):
    with pytest.raises(ValueError, match=r"expected a uint8 image \[H, W, 3\]"):
        grid.write_png(array, tmp_path / "x.png")
