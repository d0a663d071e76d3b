"""Files and a network for `benchmarks.serving` that stand for trained ones."""

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image

from mmgl_tf.backbones import Encoder
from mmgl_tf.finetuning.embedder import Embedder
from mmgl_tf.layers.normalization.batch_norm import FusedBatchNorm
from mmgl_tf.pipelines.decode import normalise

# Of what a block adds to its shortcut. With 1, a random network of 50 layers makes much of one level in a
# pixel: embeddings of two decoders are then 0.9 apart, with 0.2 they are 0.09.
BRANCH_SCALE = 0.2


@dataclass(frozen=True)
class Photographs:
    """Images to embed.

    Attributes:
        encoded: JPEG files, list of bytes.
        decoded: the same, float32 [N, H, W, 3], 0..255.
    """

    encoded: list
    decoded: np.ndarray


def drawn_photographs(number, seed=0):
    """JPEG files of smooth noise in the sizes of SYSU-MM01's visible images.

    Args:
        number: of files.
        seed: integer.

    Returns:
        List of bytes.
    """
    random = np.random.default_rng(seed)
    files = []
    for _ in range(number):
        coarse = random.integers(0, 256, (24, 10, 3), np.uint8)
        height = int(random.integers(200, 451))
        image = Image.fromarray(coarse).resize((int(0.42 * height), height), Image.Resampling.BICUBIC)
        stream = io.BytesIO()
        image.save(stream, "JPEG", quality=90)
        files.append(stream.getvalue())
    return files


def settled_embedder(backbone, stream, images):
    """A random embedder whose batch norms have the statistics of some images, as training would leave them.

    Without, all images of a random network have nearly the same embedding, and equal ones would say little.

    Args:
        backbone: key of `BACKBONES`.
        stream: "one" or "two".
        images: float32 [B, H, W, 3], 0..255.

    Returns:
        Built `Embedder`.
    """
    embedder = Embedder(Encoder(backbone, stream))
    embedder.build_from(*images.shape[1:3])
    for stage in embedder.encoder.stages:
        for block in stage.blocks:
            gamma = getattr(block, "bn3", block.bn2).gamma
            gamma.assign(np.full(gamma.shape, BRANCH_SCALE, np.float32))
    norms = [layer for layer in embedder._flatten_layers() if isinstance(layer, FusedBatchNorm)]
    momentum = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    embedder({"visible": normalise(images)}, training=True)
    for norm, value in zip(norms, momentum, strict=True):
        norm.momentum = value
    return embedder
