"""TF Serving's gRPC services, by their official definitions: Predict, GetModelMetadata, GetModelStatus."""

import math
from concurrent.futures import ThreadPoolExecutor

import grpc
import tensorflow as tf
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from mmgl_tf.serving.session_model import DEFAULT_SIGNATURE
from mmgl_tf.serving.stand_in.refusal import Refusal


def start_rpc_server(port, versions, gate, threads, max_request_bytes, seconds):
    """A started gRPC server on loopback.

    Args:
        port: 0 = any free one.
        versions: `ServedVersions`.
        gate: `Gate`.
        threads: requests worked on at once; the gate sends away what is more than it takes.
        max_request_bytes: of a request message; a larger one is RESOURCE_EXHAUSTED.
        seconds: limit of a request whose client gave none.

    Returns:
        (grpc.Server, port).

    Raises:
        OSError: the port is taken.
    """
    server = grpc.server(
        ThreadPoolExecutor(threads, thread_name_prefix="grpc"),
        options=(("grpc.max_receive_message_length", max_request_bytes), ("grpc.so_reuseport", 0)),
        maximum_concurrent_rpcs=4 * threads,  # what waits for a thread has been read into memory already
    )
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(
        Predictions(versions, gate, max_request_bytes, seconds), server
    )
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(Models(versions), server)
    try:
        bound = server.add_insecure_port(f"127.0.0.1:{port}")
    except RuntimeError as error:
        raise OSError(f"--port={port} is not free: {error}") from error
    server.start()
    return server, bound


def _answered(method):
    """A service method whose exceptions become statuses."""

    def wrapped(self, request, context):
        try:
            return method(self, request, context)
        except Exception as error:  # whatever one request meets, the server goes on
            refusal = Refusal.of(error)
        context.abort(grpc.StatusCode[refusal.status], refusal.cause)

    return wrapped


def _asked(versions, spec):
    choice = spec.WhichOneof("version_choice")
    version = spec.version.value if choice == "version" else None
    return versions.asked(spec.name, version, spec.version_label if choice == "version_label" else "")


class Predictions(prediction_service_pb2_grpc.PredictionServiceServicer):
    """PredictionService; Classify, Regress and MultiInference stay UNIMPLEMENTED."""

    def __init__(self, versions, gate, max_request_bytes, seconds):
        self.versions, self.gate = versions, gate
        self.max_values, self.seconds = max_request_bytes, seconds

    @_answered
    def Predict(self, request, context):
        """Runs a signature."""
        with self.gate.place(), _asked(self.versions, request.model_spec) as asked:
            name = request.model_spec.signature_name
            signature = asked.signature(name)
            unknown = sorted(set(request.output_filter) - set(signature.outputs))
            if unknown:
                raise Refusal(
                    "INVALID_ARGUMENT",
                    f"output_filter: unknown outputs {', '.join(unknown)}; "
                    f"expected some of {', '.join(sorted(signature.outputs))}",
                )
            inputs = {key: self._array(key, tensor) for key, tensor in request.inputs.items()}
            with self.gate.run(self._left(context)):
                outputs = asked.run(name, inputs, max(0.001, self._left(context)))
            response = predict_pb2.PredictResponse()
            for key in request.output_filter or signature.outputs:
                response.outputs[key].CopyFrom(tf.make_tensor_proto(outputs[key]))
            response.model_spec.name = request.model_spec.name
            response.model_spec.version.value = asked.number
            response.model_spec.signature_name = name or DEFAULT_SIGNATURE
            return response

    def _left(self, context):
        """Seconds that the client still waits."""
        left = context.time_remaining()
        return self.seconds if left is None else min(left, self.seconds)

    def _array(self, key, tensor):
        # One value may stand for all of a tensor: few bytes on the wire, any number of values here.
        sizes = [dim.size for dim in tensor.tensor_shape.dim]
        if tensor.tensor_shape.unknown_rank or min(sizes, default=1) < 0:
            raise Refusal("INVALID_ARGUMENT", f"input {key}: the shape {sizes} is not known")
        if math.prod(sizes) > self.max_values:
            raise Refusal(
                "INVALID_ARGUMENT", f"input {key}: the shape {sizes} has more than {self.max_values} values"
            )
        try:
            return tf.make_ndarray(tensor)
        except (TypeError, ValueError, IndexError) as error:
            raise Refusal("INVALID_ARGUMENT", f"input {key} is no tensor: {error}") from error

    @_answered
    def GetModelMetadata(self, request, context):
        """The signatures."""
        if list(request.metadata_field) != ["signature_def"]:
            raise Refusal(
                "INVALID_ARGUMENT",
                f'metadata_field is {list(request.metadata_field)}; expected ["signature_def"]',
            )
        with _asked(self.versions, request.model_spec) as asked:
            response = get_model_metadata_pb2.GetModelMetadataResponse()
            response.model_spec.name = request.model_spec.name
            response.model_spec.version.value = asked.number
            signatures = get_model_metadata_pb2.SignatureDefMap(signature_def=asked.signatures)
            response.metadata["signature_def"].Pack(signatures)
            return response


class Models(model_service_pb2_grpc.ModelServiceServicer):
    """ModelService; reloading a configuration stays UNIMPLEMENTED."""

    def __init__(self, versions):
        self.versions = versions

    @_answered
    def GetModelStatus(self, request, context):
        """States of the versions."""
        spec = request.model_spec
        if spec.WhichOneof("version_choice") == "version_label":
            with _asked(self.versions, spec):
                pass
        version = spec.version.value if spec.HasField("version") else None
        response = get_model_status_pb2.GetModelStatusResponse()
        for number, (state, code, message) in self.versions.states(spec.name, version).items():
            row = response.model_version_status.add()
            row.version, row.state = number, get_model_status_pb2.ModelVersionStatus.State.Value(state)
            row.status.error_code, row.status.error_message = code, message
        return response
