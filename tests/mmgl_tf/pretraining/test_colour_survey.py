import numpy as np
import pytest

from mmgl_tf.losses.colours.bins import soft_encoding
from mmgl_tf.losses.colours.classification import colour_rows
from mmgl_tf.pipelines.augmentation.lab import lab_of, rgb_of
from mmgl_tf.pretraining.colour_survey import EVERY, colour_survey, unsurveyed_colours


def images(number=5, size=(24, 12)):
    """Patches of a few colours, and a grey image of one channel."""
    dice = np.random.default_rng(0)
    coloured = [dice.integers(0, 256, (*[n // 4 for n in size], 3), np.uint8) for _ in range(number)]
    grey = dice.integers(0, 256, (*size, 1), np.uint8)
    return [*(image.repeat(4, axis=0).repeat(4, axis=1) for image in coloured), grey]


def test_bins_are_those_of_the_pixels_and_what_is_beside_them():
    found = colour_survey(images())
    ab = np.concatenate([lab_of(image)[::EVERY, ::EVERY, 1:].reshape(-1, 2) for image in images()])
    own = {tuple(place) for place in (np.rint(ab / 10) * 10).tolist()}
    bins = {tuple(place) for place in found["bins"].tolist()}
    assert own <= bins
    assert all(min(max(abs(a - x), abs(b - y)) for x, y in own) <= 10 for a, b in bins)
    assert len(own) < len(bins) <= len(unsurveyed_colours()["bins"]) == 261
    assert found["images"] == 6


def test_prior_and_weights_are_of_the_same_bins():
    found = colour_survey(images())
    assert found["prior"].sum() == pytest.approx(1.0, rel=1e-6)
    assert found["prior"] @ found["weights"] == pytest.approx(1.0, rel=1e-5)
    # A sixth of the pixels is grey, the smoothing spreads some of it.
    grey = (found["bins"] == 0).all(axis=1)
    assert found["prior"].argmax() == np.flatnonzero(grey)[0]
    even = colour_survey(images(), rebalance=1.0)
    np.testing.assert_allclose(even["weights"], 1.0, rtol=1e-5)


def test_mean_weight_is_what_flat_scores_cost():
    found = colour_survey(images())
    ab = np.stack([lab_of(image)[::EVERY, ::EVERY, 1:] for image in images()])
    flat = np.zeros((*ab.shape[:3], len(found["bins"])), np.float32)
    rows = colour_rows(flat, ab, found["bins"], found["weights"])
    assert rows["grey"].numpy().tolist() == [0, 0, 0, 0, 0, 1]
    expected = found["mean_weight"] * np.log(len(found["bins"]))
    # The rows take the nearest bin of a value, the survey that of its grid point: they are the same here.
    np.testing.assert_allclose(rows["weighted"].numpy().mean(), expected, rtol=1e-4)


def test_bins_of_a_file_get_the_images_prior(tmp_path):
    bins = np.array([(0, 0), (50, 50), (-50, 30), (20, -60)], np.float32)
    np.save(tmp_path / "bins.npy", bins)
    found = colour_survey(images(), str(tmp_path / "bins.npy"))
    np.testing.assert_array_equal(found["bins"], bins)
    ab = np.concatenate([lab_of(image)[::EVERY, ::EVERY, 1:].reshape(-1, 2) for image in images()])
    nearest = soft_encoding(np.rint(ab / 10) * 10, bins, 1)[1].numpy()
    np.testing.assert_allclose(found["prior"], np.bincount(nearest, minlength=4) / len(ab), rtol=1e-5)
    assert len(unsurveyed_colours(str(tmp_path / "bins.npy"))["bins"]) == 4


def test_the_same_images_in_any_order_give_the_same_numbers():
    first, second = colour_survey(images()), colour_survey(images()[::-1])
    assert all(np.array_equal(first[name], second[name]) for name in first)


def test_without_images_there_is_an_error_and_an_even_stand_in():
    with pytest.raises(ValueError, match="at least one training pixel"):
        colour_survey([])
    found = unsurveyed_colours()
    assert found["prior"].sum() == pytest.approx(1.0, rel=1e-5) and (found["weights"] == 1).all()


def test_rgb_of_lab_is_the_image_again():
    dice = np.random.default_rng(3)
    image = dice.integers(0, 256, (9, 7, 3), np.uint8)
    difference = rgb_of(lab_of(image)).astype(int) - image
    assert np.abs(difference).max() <= 1
    assert rgb_of(np.array([[[100.0, 0, 0], [0, 0, 0], [50, 0, -200]]]))[0, :, 2].tolist() == [255, 0, 255]


def test_every_fourth_pixel_of_both_axes_counts_from_the_first():
    seen = np.zeros((9, 9, 3), np.uint8)
    seen[::4, ::4] = (255, 0, 0)
    all_red = np.zeros((3, 3, 3), np.uint8) + np.array([255, 0, 0], np.uint8)
    first, second = colour_survey([seen]), colour_survey([all_red.repeat(4, axis=0).repeat(4, axis=1)])
    np.testing.assert_array_equal(first["bins"], second["bins"])
    np.testing.assert_array_equal(first["prior"], second["prior"])
