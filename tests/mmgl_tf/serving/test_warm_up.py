"""Warm-up requests as TF Serving reads them."""

import sys

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from mmgl_tf.serving.warm_up import WARM_UP, read_warm_up, write_warm_up
from tests.mmgl_tf.serving.tiny_saved_model import some_images


def requests(directory):
    records = tf.data.TFRecordDataset(str(directory / "assets.extra" / "tf_serving_warmup_requests"))
    logs = [prediction_log_pb2.PredictionLog.FromString(r) for r in records.as_numpy_iterator()]
    assert all(log.WhichOneof("log_type") == "predict_log" for log in logs)
    return [log.predict_log.request for log in logs]


@pytest.mark.parametrize("two_stream", [True, False])
def test_each_signature_is_warmed_up_with_each_batch_size(tmp_path, two_stream):
    files = some_images(3)
    write_warm_up(tmp_path, "mmgl", [1, 5], files, [0, 1, 0], (96, 48), two_stream)
    assert (tmp_path / WARM_UP).is_file()
    found = requests(tmp_path)
    kinds = [(r.model_spec.signature_name, r.model_spec.name) for r in found]
    assert kinds == [("serving_default", "mmgl"), ("serving_images", "mmgl")] * 2
    for request, size in zip(found, (1, 1, 5, 5), strict=True):
        inputs = {name: tf.make_ndarray(value) for name, value in request.inputs.items()}
        assert all(len(value) == size for value in inputs.values())
        assert ("modality" in inputs) == two_stream
        if two_stream:
            assert inputs["modality"].dtype == np.int32
            assert inputs["modality"].tolist() == [0, 1, 0, 0, 1][:size]
        if "image_bytes" in inputs:
            assert inputs["image_bytes"].tolist() == (files + files)[:size]
        else:
            assert inputs["images"].shape == (size, 96, 48, 3) and inputs["images"].dtype == np.float32


def test_the_missing_package_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_serving.apis", None)
    with pytest.raises(ValueError, match=r"pip install tensorflow-serving-api"):
        write_warm_up(tmp_path, "mmgl", [1], [b""], [0], (96, 48), False)


def test_a_server_reads_what_was_written_and_refuses_the_rest(tmp_path):
    assert list(read_warm_up(tmp_path)) == []
    write_warm_up(tmp_path, "mmgl", [2], some_images(2), [0, 1], (96, 48), True)
    (_, files), (signature, pixels) = read_warm_up(tmp_path)
    assert signature == "serving_images" and pixels["images"].shape == (2, 96, 48, 3)
    assert files["image_bytes"].tolist() == some_images(2) and files["modality"].tolist() == [0, 1]
    with tf.io.TFRecordWriter(str(tmp_path / WARM_UP)) as file:
        file.write(prediction_log_pb2.PredictionLog().SerializeToString())
    with pytest.raises(ValueError, match="record 0 is no predict_log"):
        list(read_warm_up(tmp_path))
