"""Writing an embedder as a SavedModel that TF Serving can read."""

import contextlib
import logging

import keras

from mmgl_tf.serving.endpoints import Endpoints


def write_saved_model(network, height, width, directory, resize="lanczos"):
    """Write the SavedModel of a network; see `Endpoints` for its signatures.

    `tf.saved_model.save` of anything that holds Keras layers writes a model that Python reads and TF Serving
    does not ("Could not find variable"); `keras.export.ExportArchive` tracks the variables that its endpoints
    use. Here these are plain TensorFlow variables.

    Args:
        network: `mmgl_tf.serving.inference_network.InferenceNetwork`.
        height: of the images, pixels.
        width: of the images, pixels.
        directory: to be made.
        resize: key of `mmgl_tf.pipelines.decode.FILTERS`, that image files are resized with.
    """
    archive = keras.export.ExportArchive()
    for name, (function, inputs) in Endpoints(network, height, width, resize).signatures().items():
        archive.add_endpoint(name, function, inputs)
    with _quiet():
        archive.write_out(str(directory), verbose=False)


@contextlib.contextmanager
def _quiet():
    """Without TensorFlow's notes on how it names things in a SavedModel; warnings still show."""

    def keep(record):  # a filter, as TensorFlow sets the level anew on its way
        return record.levelno >= logging.WARNING

    logger = logging.getLogger("absl")
    logger.addFilter(keep)
    try:
        yield
    finally:
        logger.removeFilter(keep)
