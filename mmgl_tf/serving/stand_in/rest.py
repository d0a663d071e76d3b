"""TF Serving's REST routes over http.server: status, metadata and predict of one model."""

import contextlib
import json
import re
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from google.protobuf import json_format
from tensorflow_serving.apis import get_model_metadata_pb2

from mmgl_tf.serving.stand_in.json_tensors import read_request, tensors, write_answer
from mmgl_tf.serving.stand_in.refusal import Refusal

_MODEL = (
    r"(?i:/v1/models)/(?P<name>[^/:]+)(?:/(?i:versions)/(?P<version>\d+)|/(?i:labels)/(?P<label>[^/:]+))?"
)
PREDICT = re.compile(_MODEL + r":(?P<method>(?i:predict|classify|regress))")
LOOK = re.compile(_MODEL + r"(?P<metadata>/(?i:metadata))?")
LINGER_BYTES = 256 << 20


class RestServer(ThreadingHTTPServer):
    """Answers over HTTP until `close`.

    Args:
        port: on loopback; 0 = any free one.
        versions: `ServedVersions`.
        gate: `Gate`.
        max_request_bytes: of a request's body.
        seconds: limit of a request.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port, versions, gate, max_request_bytes, seconds):
        super().__init__(("127.0.0.1", port), _Handler)
        self.versions, self.gate = versions, gate
        self.max_request_bytes, self.seconds = max_request_bytes, seconds
        self.ending = False
        self._working, self._idle = 0, threading.Condition()
        self._thread = threading.Thread(target=self.serve_forever, name="rest", daemon=True)

    def start(self):
        """Answers from now on, in threads of its own."""
        self._thread.start()

    @contextlib.contextmanager
    def working(self):
        """Held while a request is answered, so that `close` can wait for it."""
        with self._idle:
            self._working += 1
        try:
            yield
        finally:
            with self._idle:
                self._working -= 1
                self._idle.notify_all()

    def close(self, seconds):
        """Takes no more connections, and waits so long for the requests under way."""
        self.ending = True
        self.shutdown()
        self.server_close()
        with self._idle:
            self._idle.wait_for(lambda: not self._working, seconds)

    def handle_error(self, request, client_address):
        """Clients may go away; what matters was answered or logged."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # header and body are two writes; the second must not wait for the first's
    timeout = 60.0  # of a silent connection, in seconds

    def log_message(self, *_):
        """Nothing for each request."""

    def do_GET(self):
        self._handle(self._look)

    def do_POST(self):
        self._handle(self._predict)

    def _handle(self, work):
        with self.server.working():
            # An unread body leaves the connection unfit for another request.
            sent = self.headers.get("Content-Length") or self.headers.get("Transfer-Encoding")
            self._unread = LINGER_BYTES if sent else 0
            try:
                status, answer = 200, work(self.path.partition("?")[0])
            except ConnectionError:
                self.close_connection = True
                return
            except Exception as error:  # whatever one request meets, the server goes on
                refusal = Refusal.of(error)
                status, answer = refusal.http_status, json.dumps({"error": refusal.cause}).encode()
            self._answer(status, answer)

    def _body(self):
        """The request's body."""
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal():
            raise Refusal("INVALID_ARGUMENT", "the request has no Content-Length", 411)
        if int(length) > self.server.max_request_bytes:
            raise Refusal(
                "RESOURCE_EXHAUSTED",
                f"the request has {length} bytes; at most {self.server.max_request_bytes} are taken",
                413,
            )
        try:
            body = self.rfile.read(int(length))
        except OSError as error:
            raise ConnectionError("the client was silent in the middle of a request") from error
        if len(body) < int(length):
            raise ConnectionError("the client went away in the middle of a request")
        self._unread = 0
        return body

    def _answer(self, status, answer):
        try:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            if self._unread or self.server.ending:
                self.send_header("Connection", "close")
                self.close_connection = True
            self.end_headers()
            self.wfile.write(answer)
            if self._unread:
                self._linger(self._unread)
        except OSError:
            self.close_connection = True

    def _linger(self, limit):
        """Takes what the client still sends: closing at once would reset it before it reads the answer."""
        self.connection.shutdown(socket.SHUT_WR)
        self.connection.settimeout(2.0)
        until = time.monotonic() + 10.0
        while limit > 0 and time.monotonic() < until:
            taken = self.rfile.read1(1 << 16)
            if not taken:
                return
            limit -= len(taken)

    def _look(self, path):
        route = LOOK.fullmatch(path)
        if not route:
            raise self._no_route(path)
        name, version = route["name"], _number(route["version"])
        if route["label"] or route["metadata"]:
            with self.server.versions.asked(name, version, route["label"] or "") as asked:
                if route["metadata"]:
                    return json.dumps(_metadata(name, asked)).encode()
                version = asked.number
        return self._status(name, version)

    def _status(self, name, version):
        states = self.server.versions.states(name, version)
        rows = [
            {
                "version": str(number),
                "state": state,
                "status": {"error_code": _CODE_NAMES[code], "error_message": message},
            }
            for number, (state, code, message) in states.items()
        ]
        return json.dumps({"model_version_status": rows}, indent=1).encode()

    def _predict(self, path):
        route = PREDICT.fullmatch(path)
        if not route:
            raise self._no_route(path)
        if route["method"].lower() != "predict":
            raise Refusal("UNIMPLEMENTED", f"{route['method']}: this server answers predict only")
        limit = time.monotonic() + self.server.seconds
        asked_for = (route["name"], _number(route["version"]), route["label"] or "")
        body = self._body()  # before a place is taken: half of a request may be all that ever comes
        with self.server.gate.place():
            with self.server.versions.asked(*asked_for) as asked:
                signature_name, form, value = read_request(body)
                inputs = tensors(form, value, asked.signature(signature_name))
                with self.server.gate.run(limit - time.monotonic()):
                    outputs = asked.run(signature_name, inputs, max(0.001, limit - time.monotonic()))
            return write_answer(form, outputs)

    def _no_route(self, path):
        if not path.lower().startswith("/v1/"):
            return Refusal("NOT_FOUND", f"Not Found: {path}")
        return Refusal("INVALID_ARGUMENT", f"Malformed request: {self.command} {path}")


_CODE_NAMES = {0: "OK", 2: "UNKNOWN"}


def _number(digits):
    return None if digits is None else int(digits)


def _metadata(name, asked):
    signatures = get_model_metadata_pb2.SignatureDefMap(signature_def=asked.signatures)
    found = json_format.MessageToDict(
        signatures, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    return {
        "model_spec": {"name": name, "signature_name": "", "version": str(asked.number)},
        "metadata": {"signature_def": found},
    }
