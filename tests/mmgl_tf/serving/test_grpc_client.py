"""Which way the gRPC client's connection takes."""

import socket
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from tensorflow_serving.apis import get_model_status_pb2, model_service_pb2_grpc

from mmgl_tf.serving.client import GrpcClient, RestClient


class Models(model_service_pb2_grpc.ModelServiceServicer):
    """Knows version 7 of any model."""

    def GetModelStatus(self, request, context):
        response = get_model_status_pb2.GetModelStatusResponse()
        response.model_version_status.add(version=7, state="AVAILABLE")
        return response


def serve(address):
    """(A started server, its port); port 0 where the address cannot be had."""
    server = grpc.server(ThreadPoolExecutor(1))
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(Models(), server)
    try:
        port = server.add_insecure_port(f"{address}:0")
    except RuntimeError:
        port = 0
    server.start()
    return server, port


def test_a_proxy_of_the_environment_is_not_used(monkeypatch):
    for name in ("no_proxy", "NO_PROXY", "no_grpc_proxy", "grpc_proxy", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{nobody.getsockname()[1]}")
        server, port = serve("127.0.0.1")
        with GrpcClient("127.0.0.1", port, "mmgl", timeout_seconds=3.0) as client:
            assert client.status() == {7: "AVAILABLE"}
        server.stop(None)


def test_an_address_of_ipv6_is_put_in_brackets():
    assert RestClient("::1", 8501, "mmgl").address == "[::1]:8501"
    assert RestClient("[::1]", 8501, "mmgl").address == "[::1]:8501"
    assert RestClient("localhost", 8501, "mmgl").address == "localhost:8501"


def test_an_address_of_ipv6_is_reached():
    server, port = serve("[::1]")
    try:
        if not port:
            pytest.skip("this machine has no IPv6 loopback")
        with GrpcClient("::1", port, "mmgl", timeout_seconds=3.0) as client:
            assert client.status() == {7: "AVAILABLE"}
    finally:
        server.stop(None)
