"""Clients of a served model: one `embed`, over REST or gRPC, of TF Serving or of the stand-in server."""

from mmgl_tf.serving.client_calls import Client, ServingError
from mmgl_tf.serving.grpc_client import GrpcClient
from mmgl_tf.serving.rest_client import RestClient

__all__ = ["Client", "GrpcClient", "RestClient", "ServingError"]
