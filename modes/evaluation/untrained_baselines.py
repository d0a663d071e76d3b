"""What can be evaluated without training: chance and hand-crafted descriptors (--mode=eval --init=hog)."""

import numpy as np

from mmgl_tf.retrieval.descriptors import centred, colour_histogram, gradient_histogram, grey_pixels
from mmgl_tf.retrieval.labelled import LabelledFeatures

CHUNK = 256  # images described at once; at 288 x 144 pixels they need about 0.6 GB


# The values of --init that need no run; chance looks at no image.
UNTRAINED_BASELINES = {
    "chance": None,
    "hog": gradient_histogram,
    "colour": colour_histogram,
    "pixels": grey_pixels,
}


def describe(name, store, samples):
    """Descriptors of one modality's usable images.

    Args:
        name: key of `UNTRAINED_BASELINES`.
        store: `mmgl_tf.pipelines.images.image_store.ImageStore`.
        samples: the store's samples, in its order.

    Returns:
        `LabelledFeatures`, the modality's mean removed (which favours the descriptor).
    """
    positions = store.usable.tolist()
    kept = [samples[position] for position in positions]
    if name == "chance":
        # Another seed for each modality, or query and gallery would be alike.
        random = np.random.default_rng([0, kept[0].modality if kept else 0])
        features = random.standard_normal((len(kept), 64))
    else:
        parts = []
        for first in range(0, len(positions), CHUNK):
            images = [store[position] for position in positions[first : first + CHUNK]]
            images = np.stack([np.repeat(i, 3, axis=2) if i.shape[2] == 1 else i for i in images])
            parts.append(UNTRAINED_BASELINES[name](images))
        features = np.concatenate(parts)
    return LabelledFeatures(
        centred(features),
        np.array([sample.identity for sample in kept], np.int64),
        np.array([-1 if sample.camera is None else sample.camera for sample in kept], np.int64),
    )
