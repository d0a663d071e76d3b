"""What a batch's draws depend on, apart from which images meet in it."""

import numpy as np
import pytest

from mmgl_tf.flags.config import options_type
from mmgl_tf.pipelines.augmentation.stripes import unshuffle_stripes
from mmgl_tf.pipelines.batches.plans import BatchPlan
from mmgl_tf.pipelines.batches.recipe import mmgl_recipe
from mmgl_tf.pipelines.batches.training_batches import TrainingBatches
from tests.pipelines.fake_store import BATCH, STRIPES, FakeStore

Augmentation = options_type("mmgl")

STEPS = 2
SWITCHED_OFF = {
    "augmix_modalities": "none",
    "erase_modalities": "none",
    "pad_pixels": 0,
    "flip_probability": 0.0,
}


def batches(seed=0, **settings):
    """Every step of every epoch shows the same images, so that only the draws can make a difference."""
    same = np.tile(np.arange(BATCH), (STEPS, 1))
    recipe = mmgl_recipe(Augmentation(**SWITCHED_OFF | settings), STRIPES)
    stores = FakeStore(BATCH), FakeStore(BATCH, seed=1)
    return TrainingBatches(stores, recipe, BatchPlan(BATCH, STEPS, seed, lambda epoch: (same, same)), 1)


def whole(batch):
    """Both modalities' images with their stripes put back."""
    visible, infrared, order = (batch[name] for name in ("visible", "infrared", "permutation"))
    return np.concatenate(
        [unshuffle_stripes(visible, order[:BATCH]), unshuffle_stripes(infrared, order[BATCH:])]
    )


OTHERS = {
    "epoch": lambda **settings: batches(**settings)(STEPS),
    "step": lambda **settings: batches(**settings)(1),
    "seed": lambda **settings: batches(1, **settings)(0),
}


@pytest.mark.parametrize("other", OTHERS)
@pytest.mark.parametrize(
    "settings",
    [
        {"pad_pixels": 6},
        {"flip_probability": 0.5},
        {"augmix_modalities": "both"},
        {"erase_modalities": "both", "erase_probability": 1.0},
    ],
    ids=lambda settings: next(iter(settings)),
)
def test_the_same_images_are_augmented_anew(other, settings):
    first, second = whole(batches(**settings)(0)), whole(OTHERS[other](**settings))
    changed = (first != second).any(axis=(1, 2, 3))
    assert changed.any()
    np.testing.assert_array_equal(first, whole(batches(**settings)(0)))


@pytest.mark.parametrize("other", OTHERS)
def test_the_same_images_are_shuffled_anew(other):
    first, second = batches()(0), OTHERS[other]()
    np.testing.assert_array_equal(whole(first), whole(second))
    assert not np.array_equal(first["permutation"], second["permutation"])
