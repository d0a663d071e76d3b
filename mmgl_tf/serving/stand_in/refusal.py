"""A request that is not answered: a gRPC status and its cause, and the HTTP status of each."""

import grpc

# TF Serving's translation, except that a request too large is 413 as HTTP has it; TF Serving itself takes
# requests of any size.
HTTP_STATUS = {
    "CANCELLED": 499,
    "INVALID_ARGUMENT": 400,
    "DEADLINE_EXCEEDED": 504,
    "NOT_FOUND": 404,
    "ALREADY_EXISTS": 409,
    "PERMISSION_DENIED": 403,
    "RESOURCE_EXHAUSTED": 429,
    "FAILED_PRECONDITION": 400,
    "ABORTED": 409,
    "OUT_OF_RANGE": 400,
    "UNIMPLEMENTED": 501,
    "UNAVAILABLE": 503,
    "UNAUTHENTICATED": 401,
}
# TensorFlow's error codes are gRPC's.
STATUS_NAMES = {status.value[0]: status.name for status in grpc.StatusCode}


class Refusal(Exception):
    """Raised wherever a request cannot be answered.

    Args:
        status: name of a gRPC status.
        cause: what was wrong with the request.
        http_status: where it is not the usual one of the status.
    """

    def __init__(self, status, cause, http_status=None):
        super().__init__(cause)
        self.status = status
        self.cause = cause
        self.http_status = http_status or HTTP_STATUS.get(status, 500)

    @classmethod
    def of(cls, error):
        """The refusal for anything that was raised while a request was worked on."""
        if isinstance(error, cls):
            return error
        code = getattr(error, "error_code", None)  # of tf.errors.OpError
        if code in STATUS_NAMES:
            return cls(STATUS_NAMES[code], error.message.removeprefix("Graph execution error:").strip())
        return cls("INTERNAL", f"{type(error).__name__}: {error}")
