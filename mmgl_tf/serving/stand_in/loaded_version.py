"""One version of a SavedModel in a session, loaded as TF Serving loads it.

A SavedModel can load in Python and fail in TF Serving; hence the session loader.
"""

import threading
from pathlib import Path

import numpy as np
import tensorflow as tf

from mmgl_tf.serving.session_model import DEFAULT_SIGNATURE, SessionModel
from mmgl_tf.serving.stand_in.refusal import Refusal
from mmgl_tf.serving.warm_up import read_warm_up


class LoadedVersion:
    """A version that answers.

    Args:
        path: of the version's directory.

    Raises:
        tf.errors.OpError, OSError, ValueError: it cannot be loaded, or a warm-up request fails.
    """

    def __init__(self, path):
        self.number = int(Path(path).name)
        self._users, self._unused = 0, threading.Condition()
        self._model = SessionModel(path)
        self.signatures = self._model.signature_definitions
        try:
            self.warm_up_requests = self._warm_up(path)
        except BaseException:
            self._model.close()
            raise

    def signature(self, name):
        """A signature of the model.

        Args:
            name: "" for the default.

        Raises:
            Refusal: there is none.
        """
        name = name or DEFAULT_SIGNATURE
        if name not in self.signatures:
            raise Refusal(
                "INVALID_ARGUMENT",
                f'Serving signature name: "{name}" not found in signature def; there are '
                f"{', '.join(sorted(self.signatures))}",
            )
        return self.signatures[name]

    def run(self, signature_name, inputs, seconds=None):
        """Answers one request.

        Args:
            signature_name: "" for the default.
            inputs: {input name: array of the signature's dtype and shape}.
            seconds: limit, or None.

        Returns:
            {output name: array}.

        Raises:
            Refusal: an input is missing, unknown or misshapen.
            tf.errors.OpError: the graph refused them.
        """
        _judge_inputs(self.signature(signature_name), inputs)
        return self._model.run(inputs, signature_name or DEFAULT_SIGNATURE, seconds)

    def _warm_up(self, path):
        """Runs the recorded requests; the number of them."""
        ran = 0
        for signature_name, inputs in read_warm_up(path):
            try:
                self.run(signature_name, inputs)
            except Refusal as error:
                raise ValueError(f"{path}: warm-up record {ran} is refused: {error}") from error
            ran += 1
        return ran

    def enter(self):
        """Counts a request in; pair with `leave`."""
        with self._unused:
            self._users += 1

    def leave(self):
        """Counts a request out."""
        with self._unused:
            self._users -= 1
            self._unused.notify_all()

    def close(self, seconds=60.0):
        """Ends the session once the last request has left, or after so many seconds; whether all had left."""
        with self._unused:
            emptied = self._unused.wait_for(lambda: not self._users, seconds)
        self._model.close()
        return emptied


def _judge_inputs(signature, inputs):
    """Refuses inputs that are not the signature's."""
    missing = sorted(set(signature.inputs) - set(inputs))
    unknown = sorted(set(inputs) - set(signature.inputs))
    if missing or unknown:
        parts = [f"missing inputs: {', '.join(missing)}"] if missing else []
        parts += [f"unknown inputs: {', '.join(unknown)}"] if unknown else []
        raise Refusal(
            "INVALID_ARGUMENT",
            f"{'; '.join(parts)}; the signature takes {', '.join(sorted(signature.inputs))}",
        )
    for name, value in inputs.items():
        wanted = signature.inputs[name]
        dtype, shape = tf.dtypes.as_dtype(wanted.dtype), tf.TensorShape(wanted.tensor_shape)
        given = tf.string if value.dtype == object else tf.dtypes.as_dtype(value.dtype)
        if given != dtype:
            raise Refusal("INVALID_ARGUMENT", f"input {name} is {given.name}; expected {dtype.name}")
        if not shape.is_compatible_with(np.shape(value)):
            raise Refusal(
                "INVALID_ARGUMENT", f"input {name} has shape {list(np.shape(value))}; expected {shape}"
            )
