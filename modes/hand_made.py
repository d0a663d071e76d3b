"""What can be evaluated without any training: chance, and hand-made descriptors (--mode=eval --init=hog)."""

import numpy as np

from mmgl_tf.retrieval.descriptors import centred, colour_histogram, gradient_histogram, grey_pixels
from mmgl_tf.retrieval.labelled import LabelledFeatures


def _random_vectors(images):
    # Another seed for each number of images, or query and gallery would begin alike.
    return np.random.default_rng([0, len(images)]).standard_normal((len(images), 64))


# The values of --init that need no run.
HAND_MADE = {
    "chance": _random_vectors,
    "hog": gradient_histogram,
    "colour": colour_histogram,
    "pixels": grey_pixels,
}


def describe(name, store, samples):
    """Descriptors of one modality's usable images.

    Args:
        name: key of `HAND_MADE`.
        store: `pipelines.image_store.ImageStore`.
        samples: the store's samples, in its order.

    Returns:
        `LabelledFeatures`, the modality's mean removed (which favours the descriptor).
    """
    positions = store.usable.tolist()
    images = [store[position] for position in positions]
    images = np.stack([np.repeat(i, 3, axis=2) if i.shape[2] == 1 else i for i in images])
    kept = [samples[position] for position in positions]
    return LabelledFeatures(
        centred(HAND_MADE[name](images)),
        np.array([sample.identity for sample in kept], np.int64),
        np.array([-1 if sample.camera is None else sample.camera for sample in kept], np.int64),
    )
