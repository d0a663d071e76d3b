"""The REST client: nothing to install on the asking side but this file, client_calls.py, NumPy and urllib3.

Routes and JSON forms: https://www.tensorflow.org/tfx/serving/api_rest. Base64 adds a third to the request
and the answer is text; for throughput prefer `mmgl_tf.serving.grpc_client`.
"""

import base64
import contextlib
import json
import socket
import time

import numpy as np
import urllib3

from mmgl_tf.serving.client_calls import Client, ServingError

# TF Serving's translation of its statuses, read backwards; two statuses become 400.
STATUSES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ABORTED",
    413: "RESOURCE_EXHAUSTED",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    500: "INTERNAL",
    501: "UNIMPLEMENTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}

# Far more than the embeddings of any batch, or a model's signatures; 2048 numbers are some 25 KiB of text.
LARGEST_ANSWER_BYTES = 256 << 20
PIECE_BYTES = 1 << 20


class _Socket(socket.socket):
    """Its timeout ends everything that is received until the next one is set.

    A plain socket's begins anew with each byte, so that a server could hold a client for ever.
    """

    _end = None

    def settimeout(self, seconds):
        self._end = None if seconds is None else time.monotonic() + seconds
        super().settimeout(seconds)

    def recv_into(self, *args):
        if self._end is not None:
            left = self._end - time.monotonic()
            if left <= 0.0:
                raise TimeoutError("the answer has not ended in time")
            super().settimeout(left)
        return super().recv_into(*args)


class _Connection(urllib3.connection.HTTPConnection):
    """A connection whose timeouts are those of `_Socket`."""

    def connect(self):
        super().connect()
        plain = self.sock
        self.sock = _Socket(plain.family, plain.type, plain.proto, plain.detach())
        self.sock.settimeout(self.timeout)


class _Pool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Connection


class RestClient(Client):
    """Asks a model over TF Serving's REST interface; arguments as `Client`.

    Example:
        >>> client = RestClient("localhost", 8501, "mmgl")
        >>> client.embed(["night.jpg", "day.jpg"], ["infrared", "visible"]).shape
        (2, 2048)
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        # Retries are `Client`'s business. 32 = connections kept open for as many threads.
        self._pool = _Pool(self.host, self.port, maxsize=32, retries=False)
        version = "" if self.version is None else f"/versions/{self.version}"
        self._path = f"/v1/models/{self.model_name}{version}"

    def close(self):
        """Closes the connections."""
        self._pool.close()

    def call(self, method, path, body=None, seconds=30.0):
        """One HTTP request, without retries.

        Args:
            method: "GET" or "POST".
            path: of the route.
            body: bytes, or what JSON can hold.
            seconds: limit of it all, from the connection to the answer's last byte.

        Returns:
            The answer's JSON.

        Raises:
            ServingError: any other status than 200, or no answer.
        """
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        timeout = urllib3.Timeout(total=seconds)
        try:
            answer = self._pool.request(
                method,
                path,
                body=body,
                timeout=timeout,
                headers={"Content-Type": "application/json"},
                preload_content=False,
            )
            content = self._content(answer)
        except ServingError:  # an OSError, too
            raise
        except (urllib3.exceptions.HTTPError, OSError) as error:
            # urllib3 counts a refused connection among the timeouts; it is none.
            refused = isinstance(error, urllib3.exceptions.NewConnectionError)
            if isinstance(error, urllib3.exceptions.TimeoutError) and not refused:
                raise ServingError("DEADLINE_EXCEEDED", f"no answer from {self._where} ({error})") from error
            raise ServingError("UNAVAILABLE", f"{self._where} cannot be reached ({error})") from error
        try:
            found = json.loads(content)
        except ValueError:
            found = None
        if answer.status != 200:
            cause = found.get("error") if isinstance(found, dict) else None
            status = STATUSES.get(answer.status, "UNKNOWN")
            raise ServingError(status, cause or f"{self._where}: HTTP {answer.status} {answer.reason}")
        if not isinstance(found, dict):
            raise ServingError("INTERNAL", f"{self._where} answered {path} with something else than JSON")
        return found

    def _content(self, answer):
        """The body of a urllib3 response, if it is of a size that a model may answer."""
        content = bytearray()
        while piece := answer.read(PIECE_BYTES, decode_content=False):
            content += piece
            if len(content) > LARGEST_ANSWER_BYTES:
                answer.close()  # with its connection, which has more to say
                cause = f"{self._where} answered with more than {LARGEST_ANSWER_BYTES} bytes"
                raise ServingError("RESOURCE_EXHAUSTED", cause)
        answer.release_conn()
        return bytes(content)

    @contextlib.contextmanager
    def _reading(self, what):
        """Turns what goes wrong with an answer of another form into a ServingError."""
        try:
            yield
        except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
            cause = f"{self._where} sent no {what}: {type(error).__name__}: {error}"
            raise ServingError("INTERNAL", cause) from error

    @property
    def _where(self):
        return f"http://{self.address}"

    def _predict(self, batch, codes, seconds):
        rows = [{"image_bytes": {"b64": base64.b64encode(image).decode()}} for image in batch]
        for row, code in zip(rows, codes or (), strict=False):
            row["modality"] = code
        found = self.call("POST", f"{self._path}:predict", {"instances": rows}, seconds)
        with self._reading("embeddings"):
            return np.array(found["predictions"], np.float32)

    def _status(self, seconds):
        found = self.call("GET", self._path, seconds=seconds)
        with self._reading("status of versions"):
            return {int(each["version"]): each["state"] for each in found["model_version_status"]}

    def _metadata(self, seconds):
        found = self.call("GET", f"{self._path}/metadata", seconds=seconds)
        with self._reading("metadata"):
            return _metadata(found)


def _metadata(found):
    """What `Client.metadata` returns, of the answer's JSON."""
    signatures = found["metadata"]["signature_def"]["signature_def"]
    sides = {
        name: {
            side: {
                key: (
                    tensor["dtype"],
                    tuple(int(dim["size"]) for dim in tensor["tensor_shape"].get("dim", ())),
                )
                for key, tensor in signature.get(side, {}).items()
            }
            for side in ("inputs", "outputs")
        }
        for name, signature in signatures.items()
    }
    return {"version": int(found["model_spec"]["version"]), "signatures": sides}
