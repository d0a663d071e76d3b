"""One version of a SavedModel in a session, loaded as TF Serving loads it.

TF Serving's loader restores the graph and its variables into a session and calls tensors by the names of the
signature. A SavedModel can load in Python and fail there; hence the same loader here.
"""

import contextlib
import logging
import threading
from pathlib import Path

import numpy as np
import tensorflow as tf

from mmgl_tf.serving.session_model import TAGS
from mmgl_tf.serving.stand_in.refusal import Refusal
from mmgl_tf.serving.warm_up import WARM_UP

DEFAULT_SIGNATURE = "serving_default"
MOST_WARM_UP_RECORDS = 1000  # TF Serving's limit


class LoadedVersion:
    """A version that answers.

    Args:
        path: of the version's directory.

    Raises:
        tf.errors.OpError, OSError, ValueError, RuntimeError: it cannot be loaded, or a warm-up request fails.
    """

    def __init__(self, path):
        self.number = int(Path(path).name)
        self._users, self._unused = 0, threading.Condition()
        self._calls, self._lock = {}, threading.Lock()
        graph = tf.Graph()
        self._session = tf.compat.v1.Session(graph=graph)
        try:
            with graph.as_default(), _without_deprecation_notes():
                loaded = tf.compat.v1.saved_model.loader.load(self._session, TAGS, str(path))
            self.signatures = dict(loaded.signature_def)
            self.warm_up_requests = self._warm_up(Path(path) / WARM_UP)
        except BaseException:
            self._session.close()
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
        signature = self.signature(signature_name)
        _judge_inputs(signature, inputs)
        names = sorted(signature.outputs)
        call = self._call(signature_name or DEFAULT_SIGNATURE, signature, names)
        options = tf.compat.v1.RunOptions(timeout_in_ms=max(1, int(1000 * seconds)) if seconds else 0)
        values = call(*(inputs[name] for name in sorted(inputs)), options=options)
        return dict(zip(names, values, strict=True))

    def _call(self, key, signature, names):
        with self._lock:
            if key not in self._calls:
                self._calls[key] = self._session.make_callable(
                    [signature.outputs[name].name for name in names],
                    [signature.inputs[name].name for name in sorted(signature.inputs)],
                    accept_options=True,
                )
            return self._calls[key]

    def _warm_up(self, path):
        """Runs the recorded requests; the number of them."""
        if not path.is_file():
            return 0
        from tensorflow_serving.apis import prediction_log_pb2

        records = 0
        for record in tf.data.TFRecordDataset(str(path)).take(MOST_WARM_UP_RECORDS).as_numpy_iterator():
            log = prediction_log_pb2.PredictionLog.FromString(record)
            if log.WhichOneof("log_type") != "predict_log":
                raise ValueError(f"{path}: warm-up record {records} is no predict_log")
            request = log.predict_log.request
            inputs = {name: tf.make_ndarray(value) for name, value in request.inputs.items()}
            try:
                self.run(request.model_spec.signature_name, inputs)
            except Refusal as error:
                raise ValueError(f"{path}: warm-up record {records} is refused: {error}") from error
            records += 1
        return records

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
        self._calls.clear()
        self._session.close()
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


@contextlib.contextmanager
def _without_deprecation_notes():
    """The session loader is deprecated for Python users, not for TF Serving; its note would help nobody."""

    def judge(record):
        return record.levelno > logging.WARNING or "deprecated" not in record.getMessage()

    logger = tf.get_logger()
    logger.addFilter(judge)
    try:
        yield
    finally:
        logger.removeFilter(judge)
