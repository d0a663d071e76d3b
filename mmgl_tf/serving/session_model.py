"""An exported model in TensorFlow's session loader, the one that TF Serving has."""

import contextlib
import logging
from pathlib import Path

import tensorflow as tf

TAGS = ["serve"]
DEFAULT_SIGNATURE = "serving_default"
SIDES = ("inputs", "outputs")


class SessionModel:
    """A SavedModel, loaded as a server loads it. Threads may share it; close it, or use it in a `with` block.

    Args:
        directory: of `saved_model.pb`.

    Raises:
        ValueError: there is none, or it cannot be loaded.

    Attributes:
        signature_definitions: {signature name: SignatureDef message}, the initialiser's too.
        signatures: the same without the initialiser, {signature name: {"inputs": {name: (dtype name, shape)},
            "outputs": likewise}}; a shape is a list with None for what varies.
    """

    def __init__(self, directory):
        if not (Path(directory) / "saved_model.pb").is_file():
            raise ValueError(f"{directory} has no saved_model.pb; expected a version directory of an export")
        self._session = tf.compat.v1.Session(graph=tf.Graph())
        try:
            with self._session.graph.as_default(), _without_deprecation_notes():
                loaded = tf.compat.v1.saved_model.loader.load(self._session, TAGS, str(directory))
        except (tf.errors.OpError, RuntimeError, OSError) as error:
            self._session.close()
            raise ValueError(f"{directory} cannot be loaded as TF Serving loads it: {error}") from error
        self.signature_definitions = dict(loaded.signature_def)
        self.signatures = {
            name: {
                side: {key: _kind(info) for key, info in getattr(definition, side).items()} for side in SIDES
            }
            for name, definition in self.signature_definitions.items()
            if not name.startswith("__")  # the initialiser
        }
        self._tensors = {
            name: {
                side: {key: info.name for key, info in getattr(definition, side).items()} for side in SIDES
            }
            for name, definition in self.signature_definitions.items()
        }

    def run(self, inputs, signature=DEFAULT_SIGNATURE, seconds=None):
        """Calls a signature.

        Args:
            inputs: {input name: array-like}.
            signature: its name.
            seconds: limit, or None.

        Returns:
            {output name: array}.

        Raises:
            KeyError: an unknown signature or input.
            tf.errors.OpError: what the graph refuses, such as a broken image; the time is up.
        """
        tensors = self._tensors[signature]
        feeds = {tensors["inputs"][name]: value for name, value in inputs.items()}
        options = tf.compat.v1.RunOptions(timeout_in_ms=max(1, int(1000 * seconds)) if seconds else 0)
        return self._session.run(tensors["outputs"], feeds, options)

    def close(self):
        """Frees the model."""
        self._session.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def _kind(info):
    shape = [axis.size if axis.size >= 0 else None for axis in info.tensor_shape.dim]
    return tf.dtypes.as_dtype(info.dtype).name, shape


@contextlib.contextmanager
def _without_deprecation_notes():
    """The loader is deprecated for Python programs, not for servers; the note would help nobody."""

    def keep(record):
        return record.levelno > logging.WARNING or "deprecated" not in record.getMessage()

    logger = tf.get_logger()
    logger.addFilter(keep)
    try:
        yield
    finally:
        logger.removeFilter(keep)
