"""Requests that a server must refuse, each with the status it must give: for tests, checks and load tests."""

import base64
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mmgl_tf.serving.client_calls import ServingError

REFUSED, UNKNOWN, TOO_LARGE = "INVALID_ARGUMENT", "NOT_FOUND", "RESOURCE_EXHAUSTED"


@dataclass(frozen=True)
class Mistake:
    """A bad request.

    Attributes:
        name: what is wrong with it.
        protocol: "REST" or "gRPC".
        status: the right answer.
        cause: a word that the server's explanation must have, in lower case.
        send: sends it once, without retries.
    """

    name: str
    protocol: str
    status: str
    cause: str
    send: Callable

    def problem(self):
        """Sends it: None where it was refused with the right status and cause, else what happened instead."""
        try:
            self.send()
        except ServingError as error:
            if error.status != self.status:
                return f"{self.protocol}, {self.name}: {error}; expected {self.status}"
            if self.cause not in error.cause.lower():
                return f"{self.protocol}, {self.name}: {error.cause} does not say {self.cause}"
            return None
        return f"{self.protocol}, {self.name}: was answered; expected {self.status}"


def mistakes(rest, rpc, image, two_streams, max_request_bytes=None):
    """Every kind of bad request.

    Args:
        rest: `RestClient`.
        rpc: `GrpcClient`.
        image: bytes of an image that can be read.
        two_streams: whether the model asks for a modality.
        max_request_bytes: the server's limit; None = send nothing too large. TF Serving has none.

    Returns:
        List of `Mistake`.
    """
    modality = {"modality": 0} if two_streams else {}
    found = _over_rest(rest, image, modality) + _over_grpc(rpc, image, modality)
    if max_request_bytes:
        large = b"\xff" * (max_request_bytes + 1)
        path = f"/v1/models/{rest.model_name}:predict"
        too_large = (
            ("REST", lambda: rest.call("POST", path, large)),
            ("gRPC", lambda: rpc.call(_predict(rpc, [large], modality))),
        )
        found += [Mistake("oversized", name, TOO_LARGE, "", send) for name, send in too_large]
    return found


def _over_rest(client, image, modality):
    encoded = base64.b64encode(image).decode()
    good = {"image_bytes": {"b64": encoded}} | modality
    model = f"/v1/models/{client.model_name}"

    def post(body, path=f"{model}:predict"):
        return lambda: client.call("POST", path, body)

    def to(path):
        return post({"instances": [good]}, path)

    def rows(*rows, **more):
        return post({"instances": list(rows)} | more)

    def picture(content):
        return good | {"image_bytes": {"b64": base64.b64encode(content).decode()}}

    kinds = [
        ("broken JSON", REFUSED, "json", post(b'{"instances": [')),
        ("neither instances nor inputs", REFUSED, "", post({"images": [good]})),
        ("malformed base64", REFUSED, "base64", rows(good | {"image_bytes": {"b64": "****" + encoded[4:]}})),
        ("URL-safe base64", REFUSED, "base64", rows(good | {"image_bytes": {"b64": "_-_-" + encoded[4:]}})),
        ("no image in a batch", REFUSED, "image", rows(good, picture(b"these are no pixels"), good)),
        ("a truncated image in a batch", REFUSED, "", rows(good, picture(image[: len(image) // 2]))),
        ("an empty image", REFUSED, "", rows(picture(b""))),
        ("a list where an image belongs", REFUSED, "", rows(good | {"image_bytes": [[encoded]]})),
        ("a missing image", REFUSED, "", rows({"modality": 0})),
        ("an unknown input", REFUSED, "height", rows(good | {"height": 288})),
        ("an unknown signature", REFUSED, "signature", rows(good, signature_name="classify")),
        ("an unknown model", UNKNOWN, "nobody", to("/v1/models/nobody:predict")),
        ("an unknown version", UNKNOWN, "987654", to(f"{model}/versions/987654:predict")),
        ("an unknown label", REFUSED, "label", to(f"{model}/labels/never:predict")),
        ("no such method", REFUSED, "malformed", to(f"{model}:embed")),
    ]
    if modality:
        kinds += [
            ("a wrong modality", REFUSED, "modality", rows(good, good | {"modality": 7})),
            ("a modality by name", REFUSED, "", rows(good | {"modality": "infrared"})),
            ("a missing modality", REFUSED, "", rows({"image_bytes": {"b64": encoded}})),
        ]
    return [Mistake(name, "REST", status, cause, send) for name, status, cause, send in kinds]


def _over_grpc(client, image, modality):
    def predict(images, **changed):
        request = _predict(client, images, modality)
        for name, value in changed.items():
            setattr(request.model_spec, name, value)
        return request

    def wrong_version():
        request = predict([image])
        request.model_spec.version.value = 987654
        return request

    def wrong_filter():
        request = predict([image])
        request.output_filter.append("logits")
        return request

    def without(name):
        request = predict([image])
        del request.inputs[name]
        return request

    def codes(values, dtype=np.int32):
        inputs = {"image_bytes": [image] * len(values), "modality": np.array(values, dtype)}
        return client.predict_request(inputs)

    kinds = [
        ("no image in a batch", REFUSED, "image", lambda: predict([image, b"these are no pixels"])),
        ("a truncated image in a batch", REFUSED, "", lambda: predict([image, image[: len(image) // 2]])),
        ("an empty image", REFUSED, "", lambda: predict([b""])),
        ("images in two dimensions", REFUSED, "shape", lambda: predict([[image]])),
        ("floats as images", REFUSED, "float", lambda: predict(np.zeros(1, np.float32))),
        ("a missing image", REFUSED, "", lambda: without("image_bytes")),
        ("an unknown output", REFUSED, "output", wrong_filter),
        ("an unknown signature", REFUSED, "signature", lambda: predict([image], signature_name="classify")),
        ("an unknown model", UNKNOWN, "nobody", lambda: predict([image], name="nobody")),
        ("an unknown version", UNKNOWN, "987654", wrong_version),
    ]
    if modality:
        kinds += [
            ("a wrong modality", REFUSED, "modality", lambda: codes([0, 7])),
            ("a modality of 64 bits", REFUSED, "int64", lambda: codes([0], np.int64)),
            ("a missing modality", REFUSED, "modality", lambda: without("modality")),
        ]
    return [
        Mistake(name, "gRPC", status, cause, lambda build=build: client.call(build()))
        for name, status, cause, build in kinds
    ]


def _predict(client, images, modality):
    codes = {name: np.full(len(images), value, np.int32) for name, value in modality.items()}
    return client.predict_request({"image_bytes": images} | codes)
