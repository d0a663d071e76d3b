"""The SavedModel as a server has it: routes, refusals, signatures, and the same numbers."""

import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from tensorflow.core.protobuf import config_pb2

from mmgl_tf.pipelines.decode import decode_image, normalise
from mmgl_tf.serving.endpoints import Endpoints
from mmgl_tf.serving.inference_network import InferenceNetwork
from mmgl_tf.serving.saved_model import write_saved_model
from mmgl_tf.serving.session_model import SessionModel
from tests.mmgl_tf.serving.trained_embedder import trained_embedder

SIZE = (96, 48)
MODALITY = np.array([1, 0, 0, 1, 0, 1], np.int32)


def file(number):
    """An image file; sizes, formats and grey differ."""
    dice = np.random.default_rng(number)
    coarse = Image.fromarray(dice.integers(0, 256, (6, 4, 3), np.uint8))
    image = coarse.resize((30 + 5 * number, 60 + 9 * number), Image.Resampling.BICUBIC)
    stream = io.BytesIO()
    (image.convert("L") if number % 2 else image).save(stream, ("JPEG", "PNG", "BMP")[number % 3])
    return stream.getvalue()


FILES = np.array([file(number) for number in range(len(MODALITY))], object)


@pytest.fixture(scope="module")
def embedder():
    return trained_embedder(non_local_width=1, gem_power=3.0)


@pytest.fixture(scope="module")
def directory(embedder, tmp_path_factory):
    root = tmp_path_factory.mktemp("models") / "two"
    write_saved_model(InferenceNetwork(embedder, "neck"), *SIZE, root)
    return root


@pytest.fixture(scope="module")
def model(directory):
    with SessionModel(directory) as found:
        yield found


@pytest.fixture(scope="module")
def pixels():
    return np.stack([decode_image(content, *SIZE).numpy() for content in FILES])


@pytest.fixture(scope="module")
def expected(embedder, pixels):
    """Each image alone through the network that was trained."""
    names = ("visible", "infrared")
    rows = [
        embedder.embed({names[code]: normalise(image[None])})["neck"][0]
        for code, image in zip(MODALITY, pixels, strict=True)
    ]
    return np.stack(rows)


def embed(model, files, modality):
    return model.run({"image_bytes": files, "modality": modality})["embedding"]


def test_each_image_goes_through_its_own_stem(model, expected):
    np.testing.assert_allclose(embed(model, FILES, MODALITY), expected, atol=1e-5)
    turned = embed(model, FILES, 1 - MODALITY)
    assert np.abs(turned - expected).max(axis=1).min() > 1e-3, "the other stem must say something else"


def test_files_are_resized_by_the_filter_of_the_network(embedder):
    for resize in ("lanczos", "bilinear"):
        made = Endpoints(InferenceNetwork(embedder, "neck"), *SIZE, resize).decode(tf.constant(FILES))
        wanted = [decode_image(content, *SIZE, resize) for content in FILES]
        np.testing.assert_array_equal(made, wanted)


@pytest.mark.parametrize("code", [0, 1])
def test_a_batch_may_lack_a_modality(model, expected, code):
    chosen = code == MODALITY
    found = embed(model, FILES[chosen], MODALITY[chosen])
    np.testing.assert_allclose(found, expected[chosen], atol=1e-5)
    one = embed(model, FILES[chosen][:1], [code])
    np.testing.assert_allclose(one, expected[chosen][:1], atol=1e-5)


def test_decoded_images_and_every_signature_say_the_same(model, pixels, expected):
    found = model.run({"images": pixels, "modality": MODALITY}, "serving_images")["embedding"]
    np.testing.assert_allclose(found, expected, atol=1e-5)
    named = model.run({"image_bytes": FILES, "modality": MODALITY}, "serving_bytes")["embedding"]
    np.testing.assert_allclose(named, expected, atol=1e-5)


def test_the_signatures_have_names_and_types(model):
    modality, embedding = ("int32", [None]), {"embedding": ("float32", [None, 256])}
    files = {"image_bytes": ("string", [None]), "modality": modality}
    decoded = {"images": ("float32", [None, *SIZE, 3]), "modality": modality}
    assert model.signatures == {
        "serving_default": {"inputs": files, "outputs": embedding},
        "serving_bytes": {"inputs": files, "outputs": embedding},
        "serving_images": {"inputs": decoded, "outputs": embedding},
    }


def test_python_loads_it_too(directory, expected):
    loaded = tf.saved_model.load(str(directory))
    found = loaded.signatures["serving_default"](
        image_bytes=tf.constant(FILES.tolist()), modality=tf.constant(MODALITY)
    )
    assert list(found) == ["embedding"]
    np.testing.assert_allclose(found["embedding"], expected, atol=1e-5)


@pytest.mark.parametrize("wrong", [[1, 0, 0, 1, 0, 2], [1, 0, -1, 1, 0, 1]])
@pytest.mark.parametrize("signature", ["serving_bytes", "serving_images"])
def test_an_unknown_modality_is_named(model, pixels, signature, wrong):
    inputs = {"serving_bytes": {"image_bytes": FILES}, "serving_images": {"images": pixels}}[signature]
    with pytest.raises(
        tf.errors.InvalidArgumentError, match=r"modality must be 0 \(visible\) or 1 \(infrared\)"
    ):
        model.run({**inputs, "modality": wrong}, signature)


@pytest.mark.parametrize("modality", [[0], [0] * 7])
def test_each_image_needs_its_modality(model, modality):
    with pytest.raises(tf.errors.InvalidArgumentError, match="one number for each image"):
        embed(model, FILES, modality)


@pytest.mark.parametrize("signature", ["serving_bytes", "serving_images"])
def test_no_image_is_refused_as_such(model, signature):
    empty = {
        "serving_bytes": {"image_bytes": FILES[:0]},
        "serving_images": {"images": np.zeros((0, *SIZE, 3))},
    }
    with pytest.raises(tf.errors.InvalidArgumentError, match="must have at least one image"):
        model.run({**empty[signature], "modality": MODALITY[:0]}, signature)


@pytest.mark.parametrize("content", [b"", b"no image", FILES[0][:60]])
def test_a_broken_file_is_refused(model, expected, content):
    files = FILES.copy()
    files[3] = content
    with pytest.raises(tf.errors.InvalidArgumentError):
        embed(model, files, MODALITY)
    np.testing.assert_allclose(embed(model, FILES, MODALITY), expected, atol=1e-5, err_msg="it goes on")


@pytest.mark.parametrize("change", [lambda x: x / 127.5 - 1.0, lambda x: x + 200.0, lambda x: x * np.nan])
def test_images_that_are_no_pixels_are_refused(model, pixels, change):
    with pytest.raises(tf.errors.InvalidArgumentError, match="0 to 255, not normalised"):
        model.run({"images": change(pixels.astype(np.float32)), "modality": MODALITY}, "serving_images")


def test_images_of_another_size_are_refused_by_the_graph(model):
    """The server's C++ does not look at the signature's shape; neither does this way into a session."""
    names = model._tensors["serving_images"]
    options = config_pb2.CallableOptions(
        feed=[names["inputs"][name] for name in ("images", "modality")],
        fetch=[names["outputs"]["embedding"]],
    )
    call = model._session._make_callable_from_options(options)
    with pytest.raises(
        tf.errors.InvalidArgumentError, match=r"not compatible with expected shape \[\?,96,48,3\]"
    ):
        call(np.zeros((2, 64, 32, 3), np.float32), np.zeros(2, np.int32))


def test_one_stream_takes_no_modality(tmp_path):
    embedder = trained_embedder(stream="one")
    write_saved_model(InferenceNetwork(embedder, "pool"), *SIZE, tmp_path / "one")
    pixels = np.stack([decode_image(content, *SIZE).numpy() for content in FILES])
    with SessionModel(tmp_path / "one") as model:
        assert list(model.signatures["serving_default"]["inputs"]) == ["image_bytes"]
        found = model.run({"image_bytes": FILES})["embedding"]
        with pytest.raises(tf.errors.InvalidArgumentError, match="must have at least one image"):
            model.run({"image_bytes": FILES[:0]})
    expected = embedder.embed({"visible": normalise(pixels)})["pool"]
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_decoding_stays_on_the_cpu(embedder):
    endpoints = Endpoints(InferenceNetwork(embedder, "pool"), *SIZE)
    graph = (
        tf.function(endpoints.decode, autograph=False)
        .get_concrete_function(tf.TensorSpec((None,), tf.string))
        .graph
    )
    (loop,) = [op for op in graph.get_operations() if op.type in ("While", "StatelessWhile")]
    assert "CPU:0" in loop.device
    body = [node for found in graph.as_graph_def().library.function for node in found.node_def]
    decoders = [node for node in body if node.op.startswith("Decode")]
    assert decoders and all("CPU:0" in node.device for node in decoders)


def test_what_is_no_model_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"has no saved_model\.pb"):
        SessionModel(tmp_path)
    (tmp_path / "saved_model.pb").write_bytes(b"no model")
    with pytest.raises(ValueError, match="cannot be loaded as TF Serving loads it"):
        SessionModel(tmp_path)
