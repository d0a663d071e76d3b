import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

import numpy as np
import pytest

from mmgl_tf.serving.client import Client, GrpcClient, RestClient, ServingError


class Scripted(Client):
    """Answers each request by the next of `script`: an exception to raise, or None for an answer."""

    def __init__(self, script=(), **kwargs):
        super().__init__("nowhere", 0, "mmgl", **({"first_wait_seconds": 0.001} | kwargs))
        self.script, self.seen, self.limits = list(script), [], []

    def _predict(self, batch, codes, seconds):
        self.seen.append((batch, codes))
        self.limits.append(seconds)
        error = self.script.pop(0) if self.script else None
        if error:
            raise error
        return np.array([[len(image)] for image in batch], np.float32)


def no_port():
    """A port that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def test_images_are_split_into_batches_and_stay_in_order(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"x" * 9)
    client = Scripted(batch_size=2)
    found = client.embed([b"a", tmp_path / "a.jpg", b"ccc", str(tmp_path / "a.jpg"), b"d"], [0, 1, 0, 1, 1])
    np.testing.assert_array_equal(found[:, 0], [1, 9, 3, 9, 1])
    assert [codes for _, codes in client.seen] == [[0, 1], [0, 1], [1]]
    assert Scripted().embed([]).shape == (0, 0)


def test_modalities_go_by_name_or_code_or_not_at_all():
    client = Scripted()
    client.embed([b"a", b"b"], "infrared")
    client.embed([b"a", b"b"], ["visible", "infrared"])
    client.embed([b"a", b"b"], np.array([1, 0]))
    client.embed([b"a", b"b"])
    assert [codes for _, codes in client.seen] == [[1, 1], [0, 1], [1, 0], None]
    with pytest.raises(ValueError, match="2 images with 3 modalities"):
        client.embed([b"a", b"b"], [0, 0, 0])
    with pytest.raises(ValueError, match=r"unknown modality.*thermal.*visible, infrared"):
        client.embed([b"a"], "thermal")
    with pytest.raises(ValueError, match="batch_size=0"):
        Scripted(batch_size=0)


@pytest.mark.parametrize("status", ["UNAVAILABLE", "DEADLINE_EXCEEDED"])
def test_what_may_pass_is_tried_again(status):
    client = Scripted([ServingError(status, "busy")] * 3)
    assert client.embed([b"a"]).shape == (1, 1)
    assert len(client.seen) == 4


@pytest.mark.parametrize(
    "status", ["INVALID_ARGUMENT", "NOT_FOUND", "RESOURCE_EXHAUSTED", "INTERNAL", "PERMISSION_DENIED"]
)
def test_what_will_not_pass_is_not_tried_again(status):
    client = Scripted([ServingError(status, "no")] * 3)
    with pytest.raises(ServingError, match=f"^{status}: no$"):
        client.embed([b"a"])
    assert len(client.seen) == 1


def test_tries_end_with_the_time_and_each_gets_what_is_left():
    client = Scripted([ServingError("UNAVAILABLE", "gone")] * 1000, timeout_seconds=0.3, attempt_seconds=0.2)
    with pytest.raises(ServingError, match=r"UNAVAILABLE: gone \(after \d+ tries\)"):
        client.embed([b"a"])
    assert 3 < len(client.limits) < 100  # waits double: not a flood
    assert max(client.limits) <= 0.2
    assert client.limits[-1] < 0.2


def test_waits_double_up_to_a_limit(monkeypatch):
    pauses = []
    monkeypatch.setattr("mmgl_tf.serving.client_calls.time.sleep", pauses.append)
    monkeypatch.setattr("mmgl_tf.serving.client_calls.random.uniform", lambda low, high: high)
    Scripted([ServingError("UNAVAILABLE", "gone")] * 7, first_wait_seconds=0.1).embed([b"a"])
    np.testing.assert_allclose(pauses, [0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0])


def test_an_answer_of_another_length_is_an_error():
    client = Scripted()
    client._predict = lambda *_: np.zeros((3, 4), np.float32)
    with pytest.raises(ServingError, match="2 images were sent, 3 came back"):
        client.embed([b"a", b"b"])


@pytest.mark.parametrize("kind", [RestClient, GrpcClient])
def test_nobody_there_is_unavailable_and_tried_again(kind):
    with (
        kind("127.0.0.1", no_port(), "mmgl", timeout_seconds=1.0) as client,
        pytest.raises(ServingError, match="after") as caught,
    ):
        client.embed([b"a"])
    assert caught.value.status == "UNAVAILABLE"
    assert isinstance(caught.value, OSError)
    with kind("127.0.0.1", no_port(), "mmgl") as client, pytest.raises(ServingError, match="UNAVAILABLE"):
        client.wait_until_available(0.3)


@pytest.mark.parametrize("kind", [RestClient, GrpcClient])
def test_a_silent_server_is_a_deadline(kind):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with (
            kind("127.0.0.1", port, "mmgl", timeout_seconds=1.0, attempt_seconds=0.3) as client,
            pytest.raises(ServingError) as caught,
        ):
            client.embed([b"a"])
    assert caught.value.status in ("DEADLINE_EXCEEDED", "UNAVAILABLE")  # gRPC never saw a connection


@pytest.mark.parametrize(
    ("http_status", "body", "status", "cause"),
    [
        (400, b'{"error": "a corrupt image"}', "INVALID_ARGUMENT", "a corrupt image"),
        (404, b"<html>", "NOT_FOUND", "HTTP 404"),
        (413, b'{"error": "too large"}', "RESOURCE_EXHAUSTED", "too large"),
        (429, b"{}", "RESOURCE_EXHAUSTED", "HTTP 429"),
        (503, b'{"error": "busy"}', "UNAVAILABLE", "busy"),
        (504, b'{"error": "late"}', "DEADLINE_EXCEEDED", "late"),
        (418, b"[]", "UNKNOWN", "HTTP 418"),
        (200, b"<html>", "INTERNAL", "something else than JSON"),
        (200, b'{"outputs": []}', "INTERNAL", "no embeddings"),
        (200, b'{"predictions": [[1], [1, 2]]}', "INTERNAL", "no embeddings"),
        (200, b'{"predictions": [1.0]}', "INTERNAL", "no embeddings"),
        (200, b'{"predictions": 1.0}', "INTERNAL", "no embeddings"),
    ],
)
def test_every_http_answer_has_a_status_and_a_cause(http_status, body, status, cause):
    class Answer(BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(http_status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        client = RestClient("127.0.0.1", server.server_address[1], "mmgl", timeout_seconds=0.05)
        started = time.monotonic()
        with client, pytest.raises(ServingError) as caught:
            client.embed([b"a"], 0)
        server.shutdown()
    assert caught.value.status == status
    assert cause in caught.value.cause
    assert time.monotonic() - started < 30
