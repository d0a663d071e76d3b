import dataclasses
import io
import json
import shutil

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from mmgl_tf.flags.reading import configs_of
from mmgl_tf.modes.search.embed_source import RunSource, SavedModelSource, differing, open_source
from mmgl_tf.pipelines.decode import decode_image, normalise
from mmgl_tf.pipelines.records import INFRARED, VISIBLE
from mmgl_tf.serving.inference_network import InferenceNetwork
from mmgl_tf.serving.saved_model import write_saved_model
from tests.modes.small_run import settings, write_run

# Sums in another order, batch norm folded into the convolutions; values are about 0.06 each.
TOLERANCE = 1e-5


def encoded(seed, kind="PNG", mode="RGB"):
    pixels = np.random.default_rng(seed).integers(0, 256, (40, 20, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(file, kind)
    return file.getvalue()


IMAGES = [encoded(0), encoded(1, "JPEG"), encoded(2, "BMP"), encoded(3, "PNG", "L"), encoded(4, "JPEG", "L")]
CODES = np.array([VISIBLE, INFRARED, VISIBLE, INFRARED, VISIBLE], np.int32)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """(directory, {weights file: layer}) of a fine-tuning."""
    directory = tmp_path_factory.mktemp("runs") / "finetuned"
    return directory, write_run(directory, settings(), embedders=("last", "best"), encoders=("last", "best"))


@pytest.fixture(scope="module")
def saved(run, tmp_path_factory):
    """A model's directory with versions 2 and 10 of it; 10 is the run's best weights."""
    model = tmp_path_factory.mktemp("models") / "mmgl"
    facts = {"streams": "two", "height": 96, "width": 48, "num_features": 256, "feature": "neck"}
    for number, weights in ((2, "embedder_last"), (10, "embedder_best")):
        network = InferenceNetwork(run[1][weights], "neck")
        write_saved_model(network, 96, 48, model / str(number))
        facts |= {"precision": "float32", "weights": weights[9:]}
        (model / str(number) / "model.json").write_text(json.dumps(facts))
    return model


def source(init, **typed):
    (config,) = configs_of({"mode": "embed", "init": str(init), "images": "x", **typed})
    return open_source(config)


def reference(embedder, feature, *resize):
    """Image by image, as evaluation embeds."""
    found = []
    for content, code in zip(IMAGES, CODES.tolist(), strict=True):
        image = normalise(decode_image(tf.constant(content), 96, 48, *resize))[None]
        found.append(embedder.embed({("visible", "infrared")[code]: image})[feature].numpy()[0])
    return np.array(found)


def test_a_run_embeds_as_evaluation_does_by_its_best_weights_in_the_order_given(run):
    found = source(run[0])
    assert isinstance(found, RunSource)
    values = found.embed(IMAGES, CODES)
    assert values.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(values, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(values, reference(run[1]["embedder_best"], "neck"), atol=1e-6)
    swapped = found.embed(IMAGES, 1 - CODES)
    assert np.abs(swapped - values).max(axis=1).min() > 1e-3  # each stem is its own


def test_images_are_resized_as_the_run_has_it(tmp_path):
    written = write_run(tmp_path, settings(resize="bilinear"), embedders=("last",))
    found = source(tmp_path)
    expected = reference(written["embedder_last"], "neck", "bilinear")
    np.testing.assert_allclose(found.embed(IMAGES, CODES), expected, atol=1e-6)
    assert np.abs(expected - reference(written["embedder_last"], "neck")).max() > 1e-4
    assert found.facts["resize"] == "bilinear"
    assert any("resize" in line for line in differing(found.facts, source(tmp_path, resize="lanczos").facts))


@pytest.mark.parametrize(("weights", "feature"), [("last", "neck"), ("best", "pool"), ("last", "pool")])
def test_weights_and_feature_can_be_chosen(run, weights, feature):
    found = source(run[0], export_weights=weights, export_feature=feature)
    expected = reference(run[1][f"embedder_{weights}"], feature)
    np.testing.assert_allclose(found.embed(IMAGES, CODES), expected, atol=1e-6)
    assert (found.facts["weights"], found.facts["feature"]) == (weights, feature)


def test_a_saved_model_has_the_numbers_of_its_run(run, saved):
    of_run = source(run[0]).embed(IMAGES, CODES)
    for path in (saved, saved / "10"):
        found = source(path)
        assert isinstance(found, SavedModelSource)
        assert (found.two_streams, found.num_features, found.image_size) == (True, 256, (96, 48))
        assert found.facts["path"] == str(saved / "10")  # by number, not by name
        np.testing.assert_allclose(found.embed(IMAGES, CODES), of_run, atol=TOLERANCE)
    older = source(saved / "2")
    expected = source(run[0], export_weights="last").embed(IMAGES, CODES)
    np.testing.assert_allclose(older.embed(IMAGES, CODES), expected, atol=TOLERANCE)
    assert differing(found.facts, older.facts)


def test_a_pre_training_is_its_pooled_feature_map(tmp_path):
    written = write_run(tmp_path, settings("pretrain", stream="one"), encoders=("last",))
    found = source(tmp_path)
    assert not found.two_streams
    assert (found.facts["weights"], found.facts["feature"]) == ("last", "pool")  # it chose no best
    image = normalise(decode_image(tf.constant(IMAGES[0]), 96, 48))[None]
    pooled = tf.reduce_mean(written["encoder_last"]({"visible": image}), axis=[1, 2]).numpy()[0]
    np.testing.assert_allclose(
        found.embed(IMAGES, CODES)[0], pooled / np.linalg.norm(pooled), rtol=0, atol=1e-6
    )
    with pytest.raises(ValueError, match=r"--export_feature=neck, but .* has pool \(256 values\); give"):
        source(tmp_path, export_feature="neck")


def test_the_precision_is_the_export_s_not_the_training_s(tmp_path):
    config = settings()
    config = dataclasses.replace(
        config, optimization=dataclasses.replace(config.optimization, precision="bfloat16")
    )
    written = write_run(tmp_path, config, embedders=("last",))
    exact = source(tmp_path).embed(IMAGES, CODES)
    np.testing.assert_allclose(exact, reference(written["embedder_last"], "neck"), atol=1e-6)
    rough = source(tmp_path, export_precision="bfloat16").embed(IMAGES, CODES)
    assert rough.dtype == np.float32
    assert 1e-5 < np.abs(rough - exact).max() < 3e-2


def test_a_model_is_known_again_where_it_was_moved_and_not_when_its_weights_changed(run, saved, tmp_path):
    moved = shutil.copytree(run[0], tmp_path / "elsewhere")
    first = source(run[0]).facts
    assert differing(first, source(moved).facts) == []
    assert any("feature" in line for line in differing(first, source(moved, export_feature="pool").facts))
    shutil.copy(moved / "embedder_last.weights.h5", moved / "embedder_best.weights.h5")
    assert differing(first | {"path": str(moved)}, source(moved).facts) == [
        f"the weights in {moved} were changed"
    ]
    version = shutil.copytree(saved / "10", tmp_path / "model" / "1")
    assert differing(source(saved).facts, source(version).facts) == []


@pytest.mark.parametrize("kind", ["run", "saved_model"])
def test_a_corrupt_image_is_tensorflow_s_error_and_the_model_goes_on(run, saved, kind):
    found = source({"run": run[0], "saved_model": saved}[kind])
    with pytest.raises(tf.errors.InvalidArgumentError):
        found.embed([IMAGES[0], b"no image"], CODES[:2])
    assert found.embed(IMAGES[:1], CODES[:1]).shape == (1, 256)
