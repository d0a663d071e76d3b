"""Whether an exported model, in a process of its own, says what the trained network says."""

import numpy as np
import tensorflow as tf

from mmgl_tf.pipelines.decode import decode_image, normalise
from mmgl_tf.pipelines.records import MODALITIES
from mmgl_tf.serving.fresh_process import embed_in_fresh_process

# float32: largest difference of a component of unit vectors. The folded network sums in another order.
LARGEST_DIFFERENCE = 2e-5
# bfloat16 has 8 bits: up to 1/256 of each activation is lost at every layer. Only the direction is compared,
# and what is lost with what tells images apart: all embeddings of a network may point nearly the same way.
SMALLEST_COSINE = 0.99
LARGEST_SHARE = 0.1


def agreement(directory, embedder, feature, examples, size, precision, batch_size, resize="lanczos"):
    """Compare an exported model with the network it was made from.

    The model is loaded by TensorFlow's session loader, as TF Serving does, in a fresh process; the network is
    the one that was trained, with its batch norm.

    Args:
        directory: of the version.
        embedder: `PooledEncoder`, e.g. a fine-tuning's `Embedder`, float32.
        feature: one of the embedder's `FEATURES`.
        examples: `mmgl_tf.modes.exchange.export_examples.Examples`.
        size: (height, width) of the network's images, pixels.
        precision: "float32" or "bfloat16", of the model.
        batch_size: images in a request.
        resize: key of `mmgl_tf.pipelines.decode.FILTERS`, the network's.

    Returns:
        A sentence with what was found.

    Raises:
        ValueError: the model cannot be loaded, or says something else.
    """
    tf.config.experimental.enable_tensor_float_32_execution(False)  # as the fresh process does
    pixels, expected = expected_embeddings(embedder, feature, examples, size, resize)
    found = embed_in_fresh_process(directory, examples.encoded, pixels, examples.modality, batch_size)
    requests = int(found.pop("warmed_up"))
    values = np.stack(list(found.values()))
    difference = float(np.max(np.abs(values - expected)))
    cosine = float(np.min(np.sum(values * expected, axis=2)))
    measured = f"largest difference of a component {difference:.1e}, smallest cosine {cosine:.6f}"
    # Comparisons as they stand: what is not a number fits nowhere.
    fits, allowed = difference <= LARGEST_DIFFERENCE, f"allowed: difference {LARGEST_DIFFERENCE:.0e}"
    if precision == "bfloat16":
        fits, allowed = fits_bfloat16(values, expected)
    if not fits:
        raise ValueError(
            f"the exported model does not agree with the trained network on {len(expected)} {examples.what}: "
            f"{measured}; {allowed}. Nothing was published. "
            + (
                "Export it as float32."
                if precision == "bfloat16"
                else "Please report it with the run's config.json."
            )
        )
    return (
        f"{len(expected)} {examples.what} in a fresh process with the session loader, {requests} warm-up "
        f"requests: {measured} ({allowed})"
    )


def fits_bfloat16(values, expected):
    """Judge embeddings of a bfloat16 model.

    Args:
        values: [M, N, D], unit length: M answers for the same images.
        expected: [N, D], of the trained network.

    Returns:
        (whether they agree, a clause with what was found and what is allowed).
    """
    cosine = float(np.min(np.sum(values * expected, axis=2)))
    share = float(np.max(np.linalg.norm(values - expected, axis=2))) / _mean_distance(expected)
    return bool(cosine >= SMALLEST_COSINE and share <= LARGEST_SHARE), (
        f"{share:.0%} of the distance between images; allowed: {LARGEST_SHARE:.0%}, "
        f"cosine at least {SMALLEST_COSINE}"
    )


def _mean_distance(embeddings):
    """Mean distance between the embeddings of different images."""
    distances = np.linalg.norm(embeddings[:, None] - embeddings[None], axis=2)
    return float(distances.sum() / max(len(embeddings) * (len(embeddings) - 1), 1)) or np.finfo(float).tiny


def expected_embeddings(embedder, feature, examples, size, resize="lanczos"):
    """What the trained network says, each modality by itself.

    Args:
        embedder, feature, examples, resize: as `agreement`.
        size: (height, width) of the network's images, pixels.

    Returns:
        (uint8 [N, H, W, 3], float32 [N, D]) in the examples' order.
    """
    pixels = np.stack([decode_image(encoded, *size, resize).numpy() for encoded in examples.encoded])
    modality = np.array(examples.modality)
    expected = np.zeros((len(pixels), embedder.feature_sizes[feature]), np.float32)
    for code in np.unique(modality):
        rows = np.flatnonzero(modality == code)
        images = normalise(tf.constant(pixels[rows]))
        expected[rows] = embedder.embed({MODALITIES[code]: images})[feature].numpy()
    return pixels, expected
