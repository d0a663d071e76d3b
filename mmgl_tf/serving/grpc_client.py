"""The gRPC client: image bytes as they are, embeddings as numbers; for throughput.

Speaks the official service definitions of the package tensorflow-serving-api.
"""

import numpy as np

from mmgl_tf.serving.client_calls import Client, ServingError


class GrpcClient(Client):
    """Asks a model over TF Serving's gRPC interface; arguments as `Client`.

    Example:
        >>> with GrpcClient("localhost", 8500, "mmgl") as client:
        ...     embeddings = client.embed(["night.jpg", "day.jpg"], ["infrared", "visible"])
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        try:
            import grpc
            from tensorflow_serving.apis import model_service_pb2_grpc, prediction_service_pb2_grpc
        except ImportError as error:
            raise ImportError(
                f"the gRPC client needs a package that is missing ({error}): "
                "pip install tensorflow-serving-api==2.20.0; RestClient does without"
            ) from error
        options = (
            ("grpc.max_receive_message_length", -1),  # the server is the one that we chose to ask
            # gRPC's own pauses grow to two minutes, which would outlast a server's restart by far.
            ("grpc.initial_reconnect_backoff_ms", 100),
            ("grpc.min_reconnect_backoff_ms", 100),
            ("grpc.max_reconnect_backoff_ms", 1000),
            # http_proxy is for the web: a proxy cannot reach this machine's loopback. RestClient uses none.
            ("grpc.enable_http_proxy", 0),
        )
        self.channel = grpc.insecure_channel(self.address, options)
        self._predictions = prediction_service_pb2_grpc.PredictionServiceStub(self.channel)
        self._models = model_service_pb2_grpc.ModelServiceStub(self.channel)

    def close(self):
        """Closes the connections."""
        self.channel.close()

    def call(self, request, seconds=30.0):
        """One remote call, without retries.

        Args:
            request: PredictRequest, GetModelMetadataRequest or GetModelStatusRequest.
            seconds: limit.

        Returns:
            The response message.

        Raises:
            ServingError: any other status than OK.
        """
        import grpc

        methods = {
            "PredictRequest": self._predictions.Predict,
            "GetModelMetadataRequest": self._predictions.GetModelMetadata,
            "GetModelStatusRequest": self._models.GetModelStatus,
        }
        try:
            return methods[request.DESCRIPTOR.name](request, timeout=seconds)
        except grpc.RpcError as error:
            raise ServingError(error.code().name, error.details()) from error

    def request(self, kind):
        """A request message of a kind, addressed to the client's model and version."""
        message = kind()
        message.model_spec.name = self.model_name
        if self.version is not None:
            message.model_spec.version.value = self.version
        return message

    def predict_request(self, inputs):
        """A PredictRequest.

        Args:
            inputs: {input name: what `tf.make_tensor_proto` takes}.
        """
        import tensorflow as tf
        from tensorflow_serving.apis import predict_pb2

        message = self.request(predict_pb2.PredictRequest)
        for name, value in inputs.items():
            message.inputs[name].CopyFrom(tf.make_tensor_proto(value))
        return message

    def _predict(self, batch, codes, seconds):
        import tensorflow as tf

        inputs = {"image_bytes": batch} | ({} if codes is None else {"modality": np.array(codes, np.int32)})
        outputs = self.call(self.predict_request(inputs), seconds).outputs
        if "embedding" not in outputs:
            raise ServingError("INTERNAL", f"no output embedding among {sorted(outputs)}")
        return tf.make_ndarray(outputs["embedding"])

    def _status(self, seconds):
        from tensorflow_serving.apis import get_model_status_pb2

        found = self.call(self.request(get_model_status_pb2.GetModelStatusRequest), seconds)
        names = get_model_status_pb2.ModelVersionStatus.State.Name
        return {each.version: names(each.state) for each in found.model_version_status}

    def _metadata(self, seconds):
        from tensorflow.core.framework import types_pb2
        from tensorflow_serving.apis import get_model_metadata_pb2

        request = self.request(get_model_metadata_pb2.GetModelMetadataRequest)
        request.metadata_field.append("signature_def")
        found = self.call(request, seconds)
        signatures = get_model_metadata_pb2.SignatureDefMap()
        found.metadata["signature_def"].Unpack(signatures)
        sides = {
            name: {
                side: {
                    key: (types_pb2.DataType.Name(tensor.dtype), _shape(tensor))
                    for key, tensor in getattr(signature, side).items()
                }
                for side in ("inputs", "outputs")
            }
            for name, signature in signatures.signature_def.items()
        }
        return {"version": found.model_spec.version.value, "signatures": sides}


def _shape(tensor):
    return tuple(dim.size for dim in tensor.tensor_shape.dim)
