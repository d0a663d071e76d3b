"""MMGL's and the baselines' batches, put together step by step in the order of the first release.

What stands here is written once more, image by image, from the parts' own functions: which numbers decide
what, what acts first, where an image's stripes go. Whatever the engine becomes, its bits must stay these.
"""

import hashlib

import numpy as np
import pytest

from mmgl_tf.flags.config import options_type
from mmgl_tf.pipelines.augmentation.operations.augmix import augmix, draws_per_image, plan_augmix
from mmgl_tf.pipelines.augmentation.operations.erase import plan_erasing
from mmgl_tf.pipelines.augmentation.operations.pad_crop_flip import plan_crop_flip
from mmgl_tf.pipelines.augmentation.pixel_operations import Scratch
from mmgl_tf.pipelines.augmentation.stripes import shuffle_stripes
from mmgl_tf.pipelines.batches.held_out_batches import HeldOutBatches
from mmgl_tf.pipelines.batches.identity_sampling import identity_plan
from mmgl_tf.pipelines.batches.plans import image_plan, people_plan
from mmgl_tf.pipelines.batches.recipe import finetuning_recipe, mmgl_held_out, mmgl_recipe
from mmgl_tf.pipelines.batches.sampling import pretraining_plan
from mmgl_tf.pipelines.batches.training_batches import TrainingBatches
from mmgl_tf.pipelines.decode import normalise
from mmgl_tf.pipelines.random_plan import orders, uniforms
from tests.pipelines.fake_store import BATCH, HEIGHT, STRIPES, WIDTH, FakeStore, stores

Augmentation = options_type("mmgl")

SEED = 5
OFF = {"augmix_modalities": "none", "erase_modalities": "none"}
SETTINGS = {
    "paper": {},
    "one modality each": {"augmix_modalities": "visible", "erase_modalities": "infrared"},
    "nothing mixed": {"augmix_modalities": "none"},
    "orders apart, fast warps": {"share_permutation": False, "warp": "fast"},
    "stronger": {"augmix_width": 2, "augmix_depth": 2, "pad_pixels": 4, "augmix_severity": 7.0},
    "always erased": {"erase_probability": 1.0, "flip_probability": 1.0},
    "nothing": {"pad_pixels": 0, "flip_probability": 0.0, **OFF},
}


def augmented(image, settings, modality, epoch, position):
    """One image, float32 [H, W, 3], normalised, its stripes in place."""
    name = ("visible", "infrared")[modality]
    mixes = settings.augmix_modalities in ("both", name)
    erases = settings.erase_modalities in ("both", name)
    shape = settings.augmix_width, settings.augmix_depth
    draws = uniforms(SEED, modality, epoch, [position], 36 + draws_per_image(*shape))
    crop = plan_crop_flip(draws[:, :3], settings.pad_pixels, settings.flip_probability)
    pad = settings.pad_pixels
    padded = np.pad(image, ((pad, pad), (pad, pad), (0, 0)))
    pixels = padded[crop.down[0] : crop.down[0] + HEIGHT, crop.right[0] : crop.right[0] + WIDTH]
    pixels = np.ascontiguousarray(pixels[:, ::-1] if crop.flip[0] else pixels)
    if mixes:
        plan = plan_augmix(draws[:, 36:], settings.augmix_severity, *shape, HEIGHT, WIDTH)
        mixed = augmix(pixels, plan, 0, Scratch(*pixels.shape), settings.warp)
        pixels = mixed.reshape(pixels.shape)
    finished = normalise(np.broadcast_to(pixels, (HEIGHT, WIDTH, 3))).numpy()
    if erases:
        sizes = settings.erase_min_area, settings.erase_max_area, settings.erase_min_aspect
        (box,) = plan_erasing(draws[:, 3:36], settings.erase_probability, *sizes, HEIGHT, WIDTH)
        top, left, height, width = box
        finished[top : top + height, left : left + width] = 0.0
    return finished


def views(pair, settings, plan, epoch, place):
    """[visible, infrared] of a step, stripes in place."""
    return [
        np.stack(
            [
                augmented(pair[m][int(index)], settings, m, epoch, place * BATCH + row)
                for row, index in enumerate(plan[m][place])
            ]
        )
        for m in (0, 1)
    ]


@pytest.mark.parametrize("case", SETTINGS)
def test_mmgls_batches_are_those_of_before(case):
    settings, pair = Augmentation(**SETTINGS[case]), stores()
    made = TrainingBatches(pair, mmgl_recipe(settings, STRIPES), image_plan(pair, BATCH, SEED), 2)
    for step in (0, 3, 7):
        epoch, place = divmod(step, 5)
        positions = place * BATCH + np.arange(BATCH)
        visible = orders(SEED, 2, epoch, positions, STRIPES)
        infrared = visible if settings.share_permutation else orders(SEED, 3, epoch, positions, STRIPES)
        images = views(pair, settings, pretraining_plan(22, 9, BATCH, SEED, epoch), epoch, place)
        batch = made(step)
        assert batch.keys() == {"visible", "infrared", "permutation"}
        np.testing.assert_array_equal(batch["permutation"], np.concatenate([visible, infrared]))
        np.testing.assert_array_equal(batch["visible"], shuffle_stripes(images[0], visible))
        np.testing.assert_array_equal(batch["infrared"], shuffle_stripes(images[1], infrared))


@pytest.mark.parametrize("case", ["paper", "nothing mixed"])
def test_the_baselines_batches_are_those_of_before(case):
    settings, pair = Augmentation(**SETTINGS[case]), stores()
    identities = np.arange(22) % 5, np.arange(9) % 4
    made = TrainingBatches(pair, finetuning_recipe(settings), people_plan(pair, identities, 2, 2, SEED), 2)
    for step in (0, 7):
        epoch, place = divmod(step, 6)
        plan = identity_plan(*identities, 2, 2, SEED, epoch, 6)
        batch = made(step)
        assert batch.keys() == {"visible", "infrared", "labels"}
        for name, images in zip(
            ("visible", "infrared"), views(pair, settings, plan, epoch, place), strict=True
        ):
            np.testing.assert_array_equal(batch[name], images)
        np.testing.assert_array_equal(batch["labels"], np.tile(plan[2][place], 2))


def test_mmgls_held_out_orders_are_those_of_before():
    """blake2b of the pixels, salted with the seed, is the key of an image's orders."""
    pair = stores()
    made = HeldOutBatches(pair, mmgl_held_out(STRIPES, 3), BATCH, 7)
    assert made.num_batches == 17  # 66 entries of the 22 visible images
    for number in (0, 6, 16):
        batch = made(number)
        for modality, half in ((0, slice(None, BATCH)), (1, slice(BATCH, None))):
            entries = number * BATCH + np.arange(BATCH)
            index = np.where(entries // 3 < len(pair[modality]), entries // 3, -1)
            np.testing.assert_array_equal(batch["index"][half], index)
            for position, entry, order in zip(index, entries, batch["permutation"][half], strict=True):
                expected = np.arange(STRIPES)
                if position >= 0:
                    salt = (7).to_bytes(16, "little")
                    digest = hashlib.blake2b(pair[modality][position].tobytes(), digest_size=8, salt=salt)
                    key = int.from_bytes(digest.digest(), "little")
                    (expected,) = orders(key, 6, 0, [entry % 3], STRIPES)
                np.testing.assert_array_equal(order, expected)


def test_integers_and_rounded_bytes_alone_have_the_digest_of_the_first_release():
    """Nothing in it depends on the processor: whole pixels, and one product and one sum a value."""
    pair = FakeStore(12), FakeStore(14, channels=1, seed=1)
    settings = Augmentation(augmix_modalities="none")
    made = TrainingBatches(pair, mmgl_recipe(settings, STRIPES), image_plan(pair, BATCH, SEED), 1)
    digest = hashlib.sha256()
    for step in (0, 3, 7):
        for name in ("visible", "infrared", "permutation"):
            digest.update(made(step)[name])
    assert digest.hexdigest() == "4d47f3c2a48c8199a69b752f2b51e27d23f7b3de1f50879221e401f44f551fe3"
