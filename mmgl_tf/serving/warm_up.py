"""Requests that a server runs before it calls a version available, so that no client meets a cold graph."""

from pathlib import Path

import numpy as np
import tensorflow as tf

# Where TF Serving looks, below a version's directory.
WARM_UP = Path("assets.extra", "tf_serving_warmup_requests")
MOST_RECORDS = 1000  # TF Serving runs no more


def write_warm_up(directory, model_name, batch_sizes, encoded, modality, image_size, two_stream):
    """Write the warm-up file: each signature once for each batch size that the server runs.

    Args:
        directory: of the version.
        model_name: under which it is served.
        batch_sizes: integers.
        encoded: bytes of image files. The file is handed on with the model, so no images of a data set.
        modality: integers, of each file.
        image_size: (height, width) of decoded images, pixels.
        two_stream: whether the signatures take the modality.

    Raises:
        ValueError: the package tensorflow-serving-api is not installed.
    """
    try:
        from tensorflow_serving.apis import predict_pb2, prediction_log_pb2
    except ModuleNotFoundError as error:
        raise ValueError(
            "warm-up requests need the package tensorflow-serving-api; "
            "install it with: pip install tensorflow-serving-api==2.20.0"
        ) from error
    path = Path(directory) / WARM_UP
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(0).integers(0, 256, (1, *image_size, 3)).astype(np.float32)
    with tf.io.TFRecordWriter(str(path)) as file:
        for size in batch_sizes:
            rows = np.arange(size) % len(encoded)
            files = np.array([encoded[row] for row in rows], object)
            images = np.repeat(pixels, size, axis=0)
            for signature, name, value in (
                ("serving_default", "image_bytes", files),
                ("serving_images", "images", images),
            ):
                request = predict_pb2.PredictRequest()
                request.model_spec.name = model_name
                request.model_spec.signature_name = signature
                request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
                if two_stream:
                    codes = np.array([modality[row] for row in rows], np.int32)
                    request.inputs["modality"].CopyFrom(tf.make_tensor_proto(codes))
                log = prediction_log_pb2.PredictLog(request=request)
                file.write(prediction_log_pb2.PredictionLog(predict_log=log).SerializeToString())


def read_warm_up(directory):
    """The requests of a warm-up file, if there is one, as a server runs them.

    Args:
        directory: of the version.

    Yields:
        (signature name, {input name: array}).

    Raises:
        ValueError: a record is none that TF Serving runs; says which.
    """
    path = Path(directory) / WARM_UP
    if not path.is_file():
        return
    from tensorflow_serving.apis import prediction_log_pb2

    records = tf.data.TFRecordDataset(str(path)).take(MOST_RECORDS)
    for number, record in enumerate(records.as_numpy_iterator()):
        log = prediction_log_pb2.PredictionLog.FromString(record)
        if log.WhichOneof("log_type") != "predict_log":
            raise ValueError(f"{path}: warm-up record {number} is no predict_log")
        request = log.predict_log.request
        inputs = {name: tf.make_ndarray(value) for name, value in request.inputs.items()}
        yield request.model_spec.signature_name, inputs
