"""Pictures that operations are tried on, and how an operation is run alone."""

import cv2
import numpy as np

from mmgl_tf.pipelines.augmentation.working_memory import WorkingMemory
from mmgl_tf.pipelines.random_plan import Stream, uniforms


def drawn(number, count, seed=3):
    """Uniform numbers [number, count]."""
    return uniforms(seed, Stream.VISIBLE_IMAGES, 0, np.arange(number), count)


def textured(height=96, width=50, channels=3, seed=0):
    """Smooth noise with flat regions, black and white."""
    noise = np.random.default_rng(seed).integers(0, 256, (height, width, channels), np.uint8)
    image = cv2.GaussianBlur(noise, (5, 5), 0).reshape(height, width, channels)
    image[10:30, 5:20] = 200
    image[40:44] = 255
    image[50:54] = 0
    return image


def noise(height=96, width=50, channels=3, seed=0):
    """Every pixel is its own: all colours occur."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), np.uint8)


PICTURES = {
    "texture": textured(),
    "noise": noise(),
    "dim": textured(seed=1) // 3 + np.array([20, 60, 7], np.uint8),
    "flat": np.full((96, 50, 3), (77, 140, 9), np.uint8),
    "black": np.zeros((96, 50, 3), np.uint8),
    "white": np.full((96, 50, 3), 255, np.uint8),
    "grey": np.repeat(textured(channels=1, seed=2), 3, axis=2),
}


def act(operation, image, row=0, number=1, view=(), seed=3):
    """What an operation makes of an image; checks that the image stays as it is.

    Args:
        operation: what is tried.
        image: uint8 [H, W, C].
        row: which of `number` drawn plans.
        number: plans drawn.
        view: size of the view; that of the image if left out.
        seed: of the draws.

    Returns:
        uint8 [H', W', C'], a copy.
    """
    source = image.shape[:2]
    plan = operation.plan(drawn(number, operation.draws, seed), source, view or source)
    before = image.copy()
    result = operation.act(image, plan, row, WorkingMemory())
    np.testing.assert_array_equal(image, before)
    return result.copy()
