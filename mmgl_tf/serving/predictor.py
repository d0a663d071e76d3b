"""An exported model in Python: image files to embeddings, the numbers that a server would answer."""

import json

import numpy as np

from mmgl_tf.serving.session_model import SessionModel
from mmgl_tf.serving.version_directories import version_directory

FACTS = "model.json"


class Predictor:
    """A version of an exported model.

    Args:
        path: a version's directory, or the model's: then its newest version.
        batch_size: images that go through the network together.

    Raises:
        ValueError: there is no exported model.

    Attributes:
        info: the content of model.json: height, width, streams ("one" or "two"), num_features and so on.

    Example:
        >>> predictor = Predictor("runs/finetune/export/mmgl")
        >>> predictor.embed([Path("a.jpg").read_bytes()], [0]).shape
        (1, 2048)
    """

    def __init__(self, path, batch_size=32):
        directory = version_directory(path)
        facts = directory / FACTS
        try:
            self.info = json.loads(facts.read_text())
        except (OSError, json.JSONDecodeError) as error:
            raise ValueError(
                f"{facts} is missing or unreadable ({error}); expected a model of --mode=export"
            ) from error
        self.batch_size = batch_size
        self._model = SessionModel(directory)

    def embed(self, encoded, modality=None):
        """Embeddings.

        Args:
            encoded: bytes of image files, list [N].
            modality: integers [N], 0 visible, 1 infrared; a one-stream model looks at none.

        Returns:
            float32 [N, D], unit length.

        Raises:
            ValueError: a two-stream model and not one modality for each image.
            tf.errors.InvalidArgumentError: a file that is no readable image, or an unknown modality.
        """
        two = self.info["streams"] == "two"
        if two and (modality is None or len(modality) != len(encoded)):
            given = "none" if modality is None else len(modality)
            raise ValueError(
                f"{len(encoded)} images got {given} modalities; this model has two streams and expects one "
                "for each image: 0 visible, 1 infrared"
            )
        found = [np.zeros((0, self.info["num_features"]), np.float32)]
        for start in range(0, len(encoded), self.batch_size):
            part = slice(start, start + self.batch_size)
            inputs = {"image_bytes": np.array(encoded[part], object)}
            if two:
                inputs["modality"] = np.asarray(modality[part], np.int32)
            found.append(self._model.run(inputs)["embedding"])
        return np.concatenate(found)

    def close(self):
        """Frees the model."""
        self._model.close()
