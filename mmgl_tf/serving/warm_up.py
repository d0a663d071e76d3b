"""Requests that a server runs before it calls a version available, so that no client meets a cold graph."""

from pathlib import Path

import numpy as np
import tensorflow as tf

# Where TF Serving looks, below a version's directory.
WARM_UP = Path("assets.extra", "tf_serving_warmup_requests")


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
