"""The predictor: batches, modalities, and what it refuses."""

import json

import numpy as np
import pytest

from mmgl_tf.pipelines.decode import decode_image, normalise
from mmgl_tf.serving.inference_network import InferenceNetwork
from mmgl_tf.serving.predictor import Predictor
from mmgl_tf.serving.saved_model import write_saved_model
from tests.mmgl_tf.serving.tiny_saved_model import some_images
from tests.mmgl_tf.serving.trained_embedder import trained_embedder


def write(root, stream):
    """A version of a model; its embedder."""
    embedder = trained_embedder(stream=stream)
    write_saved_model(InferenceNetwork(embedder, "neck"), 96, 48, root)
    facts = {"streams": stream, "num_features": 256, "height": 96, "width": 48}
    (root / "model.json").write_text(json.dumps(facts))
    return embedder


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    root = tmp_path_factory.mktemp("models") / "mmgl"
    return root, write(root / "7", "two")


def test_any_number_of_images_in_batches(two):
    root, embedder = two
    files, modality = some_images(5), [1, 0, 0, 1, 1]
    predictor = Predictor(root, batch_size=2)
    assert predictor.info["num_features"] == 256
    found = predictor.embed(files, modality)
    expected = [
        embedder.embed({("visible", "infrared")[code]: normalise(decode_image(file, 96, 48)[None])})["neck"][
            0
        ]
        for file, code in zip(files, modality, strict=True)
    ]
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert predictor.embed([], []).shape == (0, 256)
    predictor.close()


def test_two_streams_need_a_modality_for_each_image(two):
    predictor = Predictor(two[0] / "7")
    for modality in (None, [0]):
        with pytest.raises(ValueError, match=r"2 images got .* one for each image"):
            predictor.embed(some_images(2), modality)


def test_one_stream_looks_at_no_modality(tmp_path):
    write(tmp_path / "1", "one")
    predictor = Predictor(tmp_path)
    files = some_images(2)
    np.testing.assert_array_equal(predictor.embed(files), predictor.embed(files, [0, 1]))


def test_what_no_export_made_is_refused(two, tmp_path):
    with pytest.raises(ValueError, match="holds no exported model"):
        Predictor(tmp_path)
    (tmp_path / "saved_model.pb").touch()
    with pytest.raises(ValueError, match=r"model\.json is missing or unreadable"):
        Predictor(tmp_path)
