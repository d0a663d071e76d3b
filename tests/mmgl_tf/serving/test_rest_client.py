"""What the REST client makes of servers that answer slowly, too much, or something else."""

import contextlib
import itertools
import socket
import threading
import time

import pytest

from mmgl_tf.serving import rest_client
from mmgl_tf.serving.client import RestClient, ServingError

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


@contextlib.contextmanager
def answering(pieces, pause=0.0):
    """A client of a server that answers every request by the pieces."""
    stop = threading.Event()

    def talk(connection):
        with connection, contextlib.suppress(OSError):
            while connection.recv(1 << 16):
                for piece in pieces():
                    connection.sendall(piece)
                    if stop.wait(pause):
                        return

    def listen():
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=talk, args=(server.accept()[0],), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=listen, daemon=True).start()
        port = server.getsockname()[1]
        with RestClient("127.0.0.1", port, "mmgl", timeout_seconds=0.4, first_wait_seconds=1.0) as client:
            yield client
        stop.set()
        server.shutdown(socket.SHUT_RDWR)


def whole(body):
    return lambda: [HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body]


@pytest.mark.parametrize("first", [HEAD + b"Content-Length: 1000000\r\n\r\n", HEAD + b"X-Slow: "])
def test_a_server_that_drips_is_a_deadline(first):
    def drip():
        yield first
        for _ in range(60):  # 3 s
            yield b" "
        raise ConnectionError("a client that waits anew for each byte sees this instead")

    with (
        answering(drip, pause=0.05) as client,
        pytest.raises(ServingError, match="DEADLINE_EXCEEDED"),
    ):
        client.status()


def test_an_answer_that_is_too_large_is_refused(monkeypatch):
    monkeypatch.setattr(rest_client, "LARGEST_ANSWER_BYTES", 3 << 20)
    with answering(
        lambda: itertools.chain([HEAD + b"\r\n"], itertools.repeat(b" " * (1 << 20), 20))
    ) as client:
        client.timeout_seconds = 5.0
        with pytest.raises(ServingError, match=r"^RESOURCE_EXHAUSTED.*more than 3145728 bytes"):
            client.status()


def test_a_connection_is_used_again_with_a_time_of_its_own():
    body = b'{"model_version_status": [{"version": "3", "state": "AVAILABLE"}]}'
    with answering(whole(body)) as client:
        for _ in range(3):
            assert client.status() == {3: "AVAILABLE"}
            time.sleep(0.25)  # together more than the limit of one request
        assert client._pool.num_connections == 1


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b'{"model_version_status": [1], "metadata": []}',
        b'{"model_version_status": [{"version": "x"}], "metadata": {"signature_def": {}}}',
    ],
)
def test_an_answer_of_another_form_is_an_error_of_the_server(body):
    with answering(whole(body)) as client:
        for ask in (client.status, client.metadata, lambda: client.wait_until_available(0.01)):
            with pytest.raises(ServingError, match=r"INTERNAL: .* sent no "):
                ask()
