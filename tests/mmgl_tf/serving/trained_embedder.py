"""An embedder whose every number matters: batch norms with statistics, stems that differ."""

import numpy as np

from mmgl_tf.backbones import Encoder
from mmgl_tf.finetuning.embedder import Embedder


def trained_embedder(backbone="resnet10", stream="two", size=(96, 48), non_local_width=0, gem_power=0.0):
    """A built `Embedder`, float32, as if it had been trained."""
    encoder = Encoder(backbone, stream, stem_init="independent", seed=1)
    embedder = Embedder(encoder, non_local_width, gem_power)
    embedder.build_from(*size)
    return with_statistics(embedder)


def with_statistics(embedder):
    """A built embedder with other scales, offsets and moving statistics than it starts with."""
    dice = np.random.default_rng(7)
    for variable in embedder.weights:
        name = variable.path.rsplit("/", 1)[-1]
        if name == "gamma" and "non_local" in variable.path:
            variable.assign(dice.uniform(0.02, 0.05, variable.shape))  # more, and x^3 grows out of float32
        elif name in ("gamma", "moving_variance"):
            variable.assign(dice.uniform(0.6, 1.4, variable.shape))
        elif name in ("beta", "moving_mean"):
            variable.assign(dice.normal(0.0, 0.2, variable.shape))
    return embedder


def images(number, size=(96, 48), seed=0):
    """Normalised images, float32 [number, H, W, 3]."""
    return np.random.default_rng(seed).normal(size=(number, *size, 3)).astype(np.float32)
