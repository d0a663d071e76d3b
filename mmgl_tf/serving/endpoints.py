"""What a client calls: image files, or decoded images, to embeddings, as functions for a SavedModel.

Only TensorFlow's core ops, so that every server knows them.
"""

import tensorflow as tf

from mmgl_tf.pipelines.decode import decode_image, normalise
from mmgl_tf.pipelines.records import INFRARED, VISIBLE

# Images that are decoded at the same time. More than a server has cores costs nothing.
PARALLEL_DECODES = 32


class Endpoints:
    """The signatures of an exported model.

    Args:
        network: `mmgl_tf.serving.inference_network.InferenceNetwork`.
        height: of the images, pixels.
        width: of the images, pixels.
        resize: key of `mmgl_tf.pipelines.decode.FILTERS`, that image files are resized with.

    Attributes:
        two_stream: whether the functions take the modality of each image.
    """

    def __init__(self, network, height, width, resize="lanczos"):
        self.network, self.height, self.width, self.resize = network, height, width, resize
        self.two_stream = network.streams == "two"

    def signatures(self):
        """{name: (function, list of `tf.TensorSpec`)}; the first is the default."""
        shape = (None, self.height, self.width, 3)
        modality = [tf.TensorSpec((None,), tf.int32, name="modality")] if self.two_stream else []
        return {
            "serving_bytes": (self.of_bytes, [tf.TensorSpec((None,), tf.string, "image_bytes"), *modality]),
            "serving_images": (self.of_images, [tf.TensorSpec(shape, tf.float32, "images"), *modality]),
        }

    def of_bytes(self, image_bytes, modality=None):
        """Embeddings of image files.

        Args:
            image_bytes: string [B], JPEG, PNG, BMP, GIF or WebP files of any size; grey ones too.
            modality: int32 [B], 0 visible, 1 infrared; two-stream networks only.

        Returns:
            {"embedding": float32 [B, C], unit length}.

        Raises:
            tf.errors.InvalidArgumentError: no image, a file that is no readable one, or a modality as in
                `of_images`; each fails the whole batch.
        """
        checks = self._checks(tf.shape(image_bytes)[0], modality)
        with tf.control_dependencies(checks):
            return self._embed(self.decode(tf.identity(image_bytes)), modality)

    def of_images(self, images, modality=None):
        """Embeddings of decoded images.

        Args:
            images: float32 [B, height, width, 3], red first, 0..255: resized, not normalised.
            modality: int32 [B], 0 visible, 1 infrared; two-stream networks only.

        Returns:
            {"embedding": float32 [B, C], unit length}.

        Raises:
            tf.errors.InvalidArgumentError: no image, images of another size or range, a modality that is
                neither 0 nor 1, or not one for each image.
        """
        # The C++ server does not compare what it is fed with the signature's shape.
        images = tf.ensure_shape(images, (None, self.height, self.width, 3))
        in_range = tf.reduce_all((images >= 0.0) & (images <= 255.0))  # false for what is not a number, too
        message = "images must be pixels from 0 to 255, not normalised; the smallest and largest value:"
        extremes = [tf.reduce_min(images), tf.reduce_max(images)]
        checks = [tf.debugging.Assert(in_range, [message, *extremes])]
        checks += self._checks(tf.shape(images)[0], modality)
        with tf.control_dependencies(checks):
            return self._embed(tf.identity(images), modality)

    def decode(self, image_bytes):
        """uint8 [B, height, width, 3] of files [B], by the function that training decodes with, on the CPU.

        Strings do not exist on a GPU, and a loop over them that is placed there fails.
        """
        with tf.device("/CPU:0"):
            return tf.map_fn(
                lambda encoded: decode_image(encoded, self.height, self.width, self.resize),
                image_bytes,
                fn_output_signature=tf.TensorSpec((self.height, self.width, 3), tf.uint8),
                parallel_iterations=PARALLEL_DECODES,
            )

    def _checks(self, number, modality):
        """Assertions on `number` images and their modalities."""
        some = tf.debugging.Assert(number > 0, ["a request must have at least one image; got", number])
        if not self.two_stream:
            return [some]
        given = tf.shape(modality)[0]
        known = tf.reduce_all((modality == VISIBLE) | (modality == INFRARED))
        return [
            some,
            tf.debugging.Assert(
                tf.equal(given, number), ["modality must have one number for each image; got", given, number]
            ),
            tf.debugging.Assert(
                known, ["modality must be 0 (visible) or 1 (infrared) for each image; got", modality], 16
            ),
        ]

    def _embed(self, images, modality):
        if not self.two_stream:
            return {"embedding": self.network({"visible": normalise(images)})}
        # Each stem gets its own images only; the trunk gets all of them, visible ones first.
        rows = [tf.where(tf.equal(modality, code))[:, 0] for code in (VISIBLE, INFRARED)]
        visible, infrared = (normalise(tf.gather(images, chosen)) for chosen in rows)
        embedding = self.network({"visible": visible, "infrared": infrared})
        order = tf.math.invert_permutation(tf.concat(rows, axis=0))
        return {"embedding": tf.gather(embedding, order)}
