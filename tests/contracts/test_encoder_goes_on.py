"""What a pre-training leaves behind: an encoder that comes back from disk and starts a fine-tuning."""

import numpy as np
import pytest

from mmgl_tf.backbones import Encoder
from mmgl_tf.finetuning import FINETUNING
from mmgl_tf.finetuning.transfer import transfer
from mmgl_tf.pretraining import PRETRAINING
from mmgl_tf.training.checkpoints import restore
from tests.contracts.cases import HEIGHT, METHODS, WIDTH, case
from tests.contracts.course import course


def images(seed=0):
    dice = np.random.default_rng(seed)
    return {m: dice.standard_normal((2, HEIGHT, WIDTH, 3)).astype("float32") for m in ("visible", "infrared")}


def encoder(stream="two"):
    made = Encoder("resnet10", stream=stream, seed=9)
    made.build_from(HEIGHT, WIDTH)
    return made


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_saved_layers_come_back_from_disk(method, tmp_path):
    taken, other = course(method), case(method, seed=5).model()
    restore(taken.model, taken.ended)
    saved, empty = taken.model.saved_layers(), other.saved_layers()
    assert "encoder" in saved and set(saved) == set(empty)
    for name, layer in saved.items():
        layer.save_weights(tmp_path / f"{name}.weights.h5")
        empty[name].load_weights(tmp_path / f"{name}.weights.h5")
        for own, given in zip(empty[name].weights, layer.weights, strict=True):
            np.testing.assert_array_equal(own, given, err_msg=f"{name}/{given.path}")


@pytest.mark.parametrize("method", PRETRAINING)
def test_the_encoder_starts_a_fine_tuning(method, tmp_path):
    taken = course(method)
    restore(taken.model, taken.ended)
    path, start = tmp_path / "encoder.weights.h5", encoder()
    saved = taken.model.saved_layers()["encoder"]
    saved.save_weights(path)
    done = transfer(start, path)
    assert done.dropped == () and len(done.matched) == len(start.variables)
    np.testing.assert_array_equal(start(images(), training=False), saved(images(), training=False))


@pytest.mark.parametrize("method", FINETUNING)
def test_the_embedder_gives_features_of_unit_length_by_name(method):
    embedder = course(method).model.embedder
    found = embedder.embed(images())
    assert set(found) == set(embedder.FEATURES) == set(embedder.feature_sizes)
    for name, value in found.items():
        assert value.shape == (4, embedder.feature_sizes[name]) and value.dtype == "float32"
        np.testing.assert_allclose(np.linalg.norm(value, axis=1), 1.0, rtol=1e-5)
