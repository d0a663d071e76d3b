"""The stand-in over loopback, in a process of its own: TF Serving's protocol, answer by answer."""

import base64
import contextlib
import http.client
import json
import socket
import threading
import time

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import get_model_metadata_pb2, predict_pb2

from mmgl_tf.serving.client import GrpcClient, RestClient, ServingError
from mmgl_tf.serving.mistakes import mistakes
from mmgl_tf.serving.stand_in.process import StandIn
from tests.mmgl_tf.serving.tiny_saved_model import VALUES, image, some_images, write_version

LIMIT = 1 << 20
RUNNING, WAITING = 2, 64


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """(StandIn, the module that it serves)."""
    base = tmp_path_factory.mktemp("model")
    write_version(base, 3)
    module = write_version(base, 12)
    with StandIn(
        base, max_request_bytes=LIMIT, max_running_requests=RUNNING, max_waiting_requests=WAITING
    ) as server:
        yield server, module


@pytest.fixture(scope="module")
def rest(served):
    with RestClient("127.0.0.1", served[0].rest_port, "mmgl") as client:
        yield client


@pytest.fixture(scope="module")
def rpc(served):
    with GrpcClient("127.0.0.1", served[0].port, "mmgl") as client:
        yield client


def expected(module, images, codes):
    return module.serve(tf.constant(images), tf.constant(codes, tf.int32))["embedding"].numpy()


def raw(server, method, path, body=None, headers=()):
    """(HTTP status, parsed JSON) without any client of ours."""
    connection = http.client.HTTPConnection("127.0.0.1", server.rest_port, timeout=60)
    connection.request(method, path, body, dict(headers))
    answer = connection.getresponse()
    found = json.loads(answer.read())
    connection.close()
    return answer.status, found


def rows(images, codes):
    return [
        {"image_bytes": {"b64": base64.b64encode(content).decode()}, "modality": code}
        for content, code in zip(images, codes, strict=True)
    ]


def test_both_protocols_answer_as_the_module_does(served, rest, rpc):
    images, codes = some_images(11), [0, 1] * 5 + [1]
    wanted = expected(served[1], images, codes)
    for client in (rest, rpc):
        found = client.embed(images, codes)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, wanted, atol=1e-6)
    assert np.abs(wanted[0] - expected(served[1], images[:1], [1])[0]).max() > 0.1  # modality matters


def test_status_and_metadata_name_the_largest_version(served, rest, rpc):
    for client in (rest, rpc):
        assert client.status() == {12: "AVAILABLE"}
        found = client.metadata()
        assert found["version"] == 12
        assert found["signatures"]["serving_default"] == {
            "inputs": {"image_bytes": ("DT_STRING", (-1,)), "modality": ("DT_INT32", (-1,))},
            "outputs": {"embedding": ("DT_FLOAT", (-1, VALUES))},
        }
    for path in ("/v1/models/mmgl", "/v1/models/mmgl/versions/12", "/V1/MODELS/mmgl/Versions/12?x=1"):
        status, found = raw(served[0], "GET", path)
        assert (status, found) == (
            200,
            {
                "model_version_status": [
                    {
                        "version": "12",
                        "state": "AVAILABLE",
                        "status": {"error_code": "OK", "error_message": ""},
                    }
                ]
            },
        )


@pytest.mark.parametrize(
    ("method", "path", "status", "cause"),
    [
        ("GET", "/v1/models/nobody", 404, "Could not find any versions of model nobody"),
        ("GET", "/v1/models/mmgl/versions/4", 404, "Could not find version 4 of model mmgl"),
        ("GET", "/v1/models/mmgl/versions/4/metadata", 404, "Specific(mmgl, 4)"),
        ("GET", "/v1/models/mmgl/labels/canary", 400, "Unrecognized servable version label: canary"),
        ("GET", "/v1/models", 400, "Malformed request: GET /v1/models"),
        ("GET", "/metrics", 404, "Not Found"),
        ("POST", "/v1/models/mmgl", 400, "Malformed request: POST"),
        ("POST", "/v1/models/mmgl:classify", 501, "predict only"),
        ("POST", "/v1/models/mmgl:predict", 400, "JSON Parse error"),
    ],
)
def test_routes_refuse_with_status_and_cause(served, method, path, status, cause):
    found = raw(served[0], method, path, b"" if method == "POST" else None)
    assert found[0] == status
    assert list(found[1]) == ["error"]
    assert cause in found[1]["error"]


def test_json_forms(served):
    server, module = served
    images, codes = some_images(2), [1, 0]
    wanted = expected(module, images, codes).tolist()
    status, found = raw(
        server,
        "POST",
        "/v1/models/mmgl/versions/12:predict",
        json.dumps({"signature_name": "serving_bytes", "instances": rows(images, codes)}),
    )
    assert (status, list(found)) == (200, ["predictions"])
    np.testing.assert_allclose(found["predictions"], wanted, atol=1e-6)
    columns = {"image_bytes": [row["image_bytes"] for row in rows(images, codes)], "modality": codes}
    status, found = raw(server, "POST", "/v1/models/mmgl:predict", json.dumps({"inputs": columns}))
    assert (status, list(found)) == (200, ["outputs"])
    np.testing.assert_allclose(found["outputs"], wanted, atol=1e-6)


def test_every_mistake_is_refused_and_the_server_goes_on(served, rest, rpc):
    server, module = served
    good = image(1)
    every = mistakes(rest, rpc, good, two_streams=True, max_request_bytes=LIMIT)
    assert len(every) >= 30
    problems = [mistake.problem() for mistake in every]
    assert [problem for problem in problems if problem] == []
    assert server.alive()
    wanted = expected(module, [good], [0])
    np.testing.assert_allclose(rest.embed([good], 0), wanted, atol=1e-6)
    np.testing.assert_allclose(rpc.embed([good], 0), wanted, atol=1e-6)


def test_too_large_a_request_is_413_and_read_by_whoever_still_sends(served):
    body = b"[" + b" " * (8 * LIMIT)
    status, found = raw(served[0], "POST", "/v1/models/mmgl:predict", body)
    assert status == 413
    assert str(LIMIT) in found["error"]


def test_a_request_without_a_length_is_refused(served):
    connection = http.client.HTTPConnection("127.0.0.1", served[0].rest_port, timeout=60)
    connection.request("POST", "/v1/models/mmgl:predict", iter([b"{}"]), encode_chunked=True)
    answer = connection.getresponse()
    assert answer.status == 411
    assert answer.headers["Connection"] == "close"
    connection.close()


def test_a_connection_is_kept_after_a_refusal(served):
    connection = http.client.HTTPConnection("127.0.0.1", served[0].rest_port, timeout=60)
    statuses = []
    for body in (b"{}", json.dumps({"instances": rows([image(2)], [0])}), b"["):
        connection.request("POST", "/v1/models/mmgl:predict", body)
        answer = connection.getresponse()
        answer.read()
        statuses.append(answer.status)
        kept = connection.sock  # None once the server has asked to close
    assert statuses == [400, 200, 400]
    assert kept is not None
    connection.close()


def test_who_goes_away_in_the_middle_harms_nobody(served, rest):
    for _ in range(5):
        with socket.create_connection(("127.0.0.1", served[0].rest_port)) as half:
            half.sendall(b"POST /v1/models/mmgl:predict HTTP/1.1\r\nContent-Length: 1000\r\n\r\n{")
    assert rest.embed([image(3)], 0).shape == (1, VALUES)
    assert "Traceback" not in served[0].log()


def test_half_sent_requests_leave_the_places_to_others(served):
    server, _ = served
    head = b"POST /v1/models/mmgl:predict HTTP/1.1\r\nContent-Length: 1000\r\n\r\n{"
    with contextlib.ExitStack() as halves:
        for _ in range(RUNNING + WAITING):
            half = halves.enter_context(socket.create_connection(("127.0.0.1", server.rest_port)))
            half.sendall(head)
        time.sleep(0.2)  # until the server has them all; they must not matter before either
        with RestClient("127.0.0.1", server.rest_port, "mmgl", timeout_seconds=0.01) as client:
            assert client._predict([image(3)], [0], 30.0).shape == (1, VALUES)


def test_a_small_message_cannot_ask_for_a_large_tensor(served, rpc):
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "mmgl"
    for name, value in (("image_bytes", tf.constant([image(1)])), ("modality", tf.constant([0]))):
        request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
        request.inputs[name].tensor_shape.dim[0].size = 1 << 40
    with pytest.raises(ServingError, match="more than") as caught:
        rpc.call(request)
    assert caught.value.status == "INVALID_ARGUMENT"
    request.inputs["modality"].tensor_shape.dim[0].size = -1
    request.inputs["image_bytes"].tensor_shape.dim[0].size = 1
    with pytest.raises(ServingError, match="not known"):
        rpc.call(request)
    request.inputs["modality"].dtype = 999
    with pytest.raises(ServingError, match="INVALID_ARGUMENT"):
        rpc.call(request)


def test_the_rest_of_the_services(served, rpc):
    request = rpc.request(get_model_metadata_pb2.GetModelMetadataRequest)
    request.metadata_field.append("warm-up")
    with pytest.raises(ServingError, match=r"INVALID_ARGUMENT.*signature_def"):
        rpc.call(request)
    request = rpc.predict_request({"image_bytes": [image(1)], "modality": np.zeros(1, np.int32)})
    request.output_filter.append("embedding")
    response = rpc.call(request)
    assert list(response.outputs) == ["embedding"]
    assert response.model_spec.version.value == 12
    assert response.model_spec.signature_name == "serving_default"


def test_concurrent_clients_get_their_own_answers(served, rest, rpc):
    images, codes = some_images(24), [n // 3 % 2 for n in range(24)]
    wanted = expected(served[1], images, codes)
    wrong = []

    def ask(number):
        client = (rest, rpc)[number % 2]
        for turn in range(6):
            chosen = [(number * 5 + turn * 7 + step) % 24 for step in range(1 + (number + turn) % 8)]
            found = client.embed([images[n] for n in chosen], [codes[n] for n in chosen])
            if np.abs(found - wanted[chosen]).max() > 1e-6:
                wrong.append((number, turn))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
