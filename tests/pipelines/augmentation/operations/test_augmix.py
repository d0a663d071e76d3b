"""AugMix against a slow sequential version in Pillow that carries out the same plan."""

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps

from mmgl_tf.pipelines.augmentation.operations.augmix import (
    AUTOCONTRAST,
    EQUALIZE,
    OPERATIONS,
    POSTERIZE,
    ROTATE,
    SHEAR_X,
    SHEAR_Y,
    SOLARIZE,
    TRANSLATE_X,
    TRANSLATE_Y,
    augmix,
    draws_per_image,
    plan_augmix,
)
from mmgl_tf.pipelines.augmentation.pixel_operations import Scratch
from mmgl_tf.pipelines.random_plan import Stream, uniforms

HEIGHT, WIDTH = 288, 144


def textured(seed, channels=3, height=HEIGHT, width=WIDTH):
    noise = np.random.default_rng(seed).integers(0, 256, (height, width, channels), np.uint8)
    return cv2.GaussianBlur(noise, (7, 7), 0).reshape(height, width, channels)


def planned(number, severity=3.0, width=3, depth=0, height=HEIGHT, columns=WIDTH):
    draws = uniforms(5, Stream.VISIBLE_IMAGES, 0, np.arange(number), draws_per_image(width, depth))
    return plan_augmix(draws, severity, width, depth, height, columns)


def pillow_operation(picture, operation, amount):
    bilinear = Image.Resampling.BILINEAR

    def affine(*numbers):
        return picture.transform(picture.size, Image.Transform.AFFINE, numbers, resample=bilinear)

    return {
        "autocontrast": lambda: ImageOps.autocontrast(picture),
        "equalize": lambda: ImageOps.equalize(picture),
        "posterize": lambda: ImageOps.posterize(picture, int(amount)),
        "rotate": lambda: picture.rotate(amount, resample=bilinear),
        "solarize": lambda: ImageOps.solarize(picture, int(amount)),
        "shear_x": lambda: affine(1, amount, 0, 0, 1, 0),
        "shear_y": lambda: affine(1, 0, 0, amount, 1, 0),
        "translate_x": lambda: affine(1, 0, amount, 0, 1, 0),
        "translate_y": lambda: affine(1, 0, 0, 0, 1, amount),
    }[operation]()


def pillow_augmix(image, plan, row):
    mixed = plan.weights[row, 0] * image
    for chain in range(plan.weights.shape[1] - 1):
        picture = Image.fromarray(image)
        for step in range(plan.depths[row, chain]):
            name = OPERATIONS[plan.operations[row, chain, step]]
            picture = pillow_operation(picture, name, plan.amounts[row, chain, step])
        mixed = mixed + plan.weights[row, 1 + chain] * np.asarray(picture)
    return mixed


@pytest.mark.parametrize(("severity", "width", "depth"), [(3.0, 3, 0), (10.0, 2, 4), (1.0, 1, 1)])
def test_augmix_is_pillows(severity, width, depth):
    plan = planned(30, severity, width, depth)
    scratch = Scratch(HEIGHT, WIDTH, 3)
    differences = []
    for row in range(30):
        image = textured(row)
        result = augmix(image, plan, row, scratch).reshape(image.shape)
        differences.append(abs(result - pillow_augmix(image, plan, row)))
    assert np.mean(differences) < 0.01
    # A level off may grow to several in autocontrast or equalize; a wrong operation is off by far more.
    assert np.max(differences) < 8
    assert np.mean(np.array(differences) > 2) < 1e-4


def test_the_fast_warp_stays_near():
    plan = planned(10)
    scratch = Scratch(HEIGHT, WIDTH, 3)
    near = [
        abs(
            augmix(textured(row), plan, row, scratch, "fast").reshape(HEIGHT, WIDTH, 3)
            - pillow_augmix(textured(row), plan, row)
        ).mean()
        for row in range(10)
    ]
    assert 0.01 < np.mean(near) < 1.0


@pytest.mark.parametrize("size", [(288, 144), (96, 48), (37, 29)])
@pytest.mark.parametrize("warp", ["pil", "fast"])
def test_grey_equals_rgb_bit_for_bit(size, warp):
    plan = planned(25, height=size[0], columns=size[1])
    for row in range(25):
        grey = textured(row, 1, *size)
        rgb = np.repeat(grey, 3, axis=2)
        once = augmix(grey, plan, row, Scratch(*size, 1), warp)
        thrice = augmix(rgb, plan, row, Scratch(*size, 3), warp).reshape(*size, 3)
        for channel in range(3):
            np.testing.assert_array_equal(thrice[:, :, channel], once)


def test_the_image_is_left_alone_and_scratch_carries_nothing_over():
    plan = planned(6)
    image = textured(0)
    used = Scratch(HEIGHT, WIDTH, 3)
    for row in range(6):
        fresh = augmix(image, plan, row, Scratch(HEIGHT, WIDTH, 3))
        np.testing.assert_array_equal(augmix(image, plan, row, used), fresh)
    np.testing.assert_array_equal(image, textured(0))


def test_amounts_stay_in_the_published_ranges_and_reach_their_ends():
    plan = planned(8000)

    def of(operation):
        return plan.amounts[plan.operations == operation]

    assert set(of(POSTERIZE)) == {3, 4}
    assert of(SOLARIZE).min() in (180, 181) and of(SOLARIZE).max() == 254
    assert set(of(ROTATE)) == set(range(-8, 9))  # 9 needs the level 3.0 itself
    for shear in (of(SHEAR_X), of(SHEAR_Y)):
        assert 0.0899 < abs(shear).max() <= 0.09 and 0.003 <= abs(shear).min() < 0.0031
    assert set(of(TRANSLATE_X)) == set(range(-14, 15))
    assert set(of(TRANSLATE_Y)) == set(range(-28, 29))
    assert not of(AUTOCONTRAST).any() and not of(EQUALIZE).any()


def test_levels_are_uniform_and_signs_fair():
    plan = planned(8000)
    shear = plan.amounts[plan.operations == SHEAR_X]
    assert abs((shear > 0).mean() - 0.5) < 0.02
    counts = np.histogram(abs(shear), 10, (0.003, 0.09))[0]
    assert abs(counts / counts.mean() - 1).max() < 0.12
    # int(0.4 level) = 1 from level 2.5 on: (3 - 2.5) / 2.9 of the levels.
    assert abs((plan.amounts[plan.operations == POSTERIZE] == 3).mean() - 0.5 / 2.9) < 0.02


def test_full_severity_reaches_the_published_extremes():
    plan = planned(4000, severity=10.0)
    assert set(plan.amounts[plan.operations == POSTERIZE]) == {1, 2, 3, 4}
    assert abs(plan.amounts[plan.operations == ROTATE]).max() == 29
    assert 0.299 < abs(plan.amounts[plan.operations == SHEAR_Y]).max() <= 0.3
    assert abs(plan.amounts[plan.operations == TRANSLATE_X]).max() == 47
    assert abs(plan.amounts[plan.operations == TRANSLATE_Y]).max() == 95


def test_operations_and_depths_are_uniform():
    plan = planned(6000)
    shares = np.bincount(plan.operations.reshape(-1), minlength=9) / plan.operations.size
    assert abs(shares * 9 - 1).max() < 0.05
    assert set(plan.depths.reshape(-1)) == {1, 2, 3}
    assert abs(np.bincount(plan.depths.reshape(-1))[1:] / plan.depths.size * 3 - 1).max() < 0.04
    assert (planned(5, depth=2).depths == 2).all()


def test_weights_are_beta_times_dirichlet():
    weights = planned(20000).weights
    np.testing.assert_allclose(weights.sum(axis=1), 1.0)
    assert weights.min() > 0
    mixed = 1 - weights[:, 0]  # Beta(1, 1): uniform
    assert abs(mixed.mean() - 1 / 2) < 0.01 and abs(mixed.var() - 1 / 12) < 0.003
    shares = weights[:, 1:] / mixed[:, None]  # Dirichlet(1, 1, 1): mean 1/3, variance 1/18
    np.testing.assert_allclose(shares.mean(axis=0), 1 / 3, atol=0.01)
    np.testing.assert_allclose(shares.var(axis=0), 1 / 18, atol=0.002)
    assert abs(np.corrcoef(mixed, shares[:, 0])[0, 1]) < 0.03


def test_only_used_operations_are_prepared_for_warping():
    plan = planned(300)
    geometric = np.isin(plan.operations, (ROTATE, SHEAR_X, SHEAR_Y)) & (plan.amounts != 0)
    geometric &= np.arange(3) < plan.depths[:, :, None]
    np.testing.assert_array_equal(plan.warps >= 0, geometric)
    assert sorted(plan.warps[geometric]) == list(range(len(plan.matrices)))
