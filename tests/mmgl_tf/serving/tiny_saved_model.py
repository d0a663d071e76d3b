"""A SavedModel with an exported model's signatures and next to no network, and images for it."""

import io

import numpy as np
import tensorflow as tf
from PIL import Image

from mmgl_tf.pipelines.decode import decode_image, normalise

HEIGHT, WIDTH, VALUES = 16, 8, 4


class TinyEmbedder(tf.Module):
    """A random projection for each modality; `seed` tells one version from another."""

    def __init__(self, seed, pause_seconds=0.0):
        super().__init__()
        weights = np.random.default_rng(seed).standard_normal((2, HEIGHT * WIDTH * 3, VALUES))
        self.weights = tf.Variable(weights.astype(np.float32), name="weights")
        self.pause_seconds = pause_seconds

    @tf.function(
        input_signature=[
            tf.TensorSpec([None], tf.string, "image_bytes"),
            tf.TensorSpec([None], tf.int32, "modality"),
        ],
        autograph=False,
    )
    def serve(self, image_bytes, modality):
        known = tf.reduce_all((modality >= 0) & (modality < 2))
        checks = [
            tf.debugging.Assert(known, ["modality is 0 or 1, not", modality]),
            tf.debugging.assert_equal(tf.shape(modality), tf.shape(image_bytes), "modality for each image"),
        ]
        with tf.control_dependencies(checks):
            images = tf.map_fn(self.decode, image_bytes, fn_output_signature=tf.uint8)
            modality = tf.identity(modality)  # else the look-up below may fail first, with another message
        flat = tf.reshape(normalise(images), (-1, 1, HEIGHT * WIDTH * 3))
        if self.pause_seconds:  # slow in proportion to work that cannot be optimised away
            flat = flat + self._busy(flat)
        found = tf.squeeze(flat @ tf.gather(self.weights, modality), 1)
        return {"embedding": tf.math.l2_normalize(found, axis=1)}

    @staticmethod
    def decode(encoded):
        return decode_image(encoded, HEIGHT, WIDTH)

    def _busy(self, flat):
        start = tf.timestamp()
        waited = tf.while_loop(
            lambda now: now - start < self.pause_seconds, lambda _: (tf.timestamp(),), (start,)
        )[0]
        return 0.0 * tf.cast(waited, flat.dtype)


def write_version(base, number, seed=None, pause_seconds=0.0):
    """Saves a version beside its place and renames it, as an exporter does; the module."""
    module = TinyEmbedder(number if seed is None else seed, pause_seconds)
    signature = module.serve.get_concrete_function()
    hidden = base / f".{number}"
    tf.saved_model.save(module, str(hidden), {"serving_default": signature, "serving_bytes": signature})
    hidden.rename(base / str(number))
    return module


def image(seed, height=40, width=20, kind="JPEG", grey=False):
    """An encoded image of smooth noise."""
    dice = np.random.default_rng(seed)
    coarse = dice.integers(0, 256, (5, 3) if grey else (5, 3, 3), np.uint8)
    stream = io.BytesIO()
    Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC).save(stream, kind)
    return stream.getvalue()


def some_images(number):
    """Encoded images of several sizes and formats, colour and grey."""
    kinds = ("JPEG", "PNG", "BMP")
    return [image(n, 30 + 7 * n, 16 + 3 * n, kinds[n % 3], n % 2 == 1) for n in range(number)]
