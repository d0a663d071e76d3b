import numpy as np
import pytest

from benchmarks import serving
from benchmarks.peers import serving as serving_peer
from benchmarks.serving_inputs import drawn_photographs, settled_embedder
from mmgl_tf.pipelines.decode import normalise
from mmgl_tf.serving.inference_network import InferenceNetwork


@pytest.fixture(scope="module")
def images():
    return serving_peer.decoded(drawn_photographs(8), 96, 48)


@pytest.fixture(scope="module", params=["resnet10", "resnet50"])
def embedder(request, images):
    return settled_embedder(request.param, "two", images)


@pytest.fixture(scope="module")
def embeddings(embedder, images):
    return InferenceNetwork(embedder, "neck")({"visible": normalise(images)}).numpy()


def test_embeddings_of_different_images_are_far_apart(embeddings):
    distances = np.linalg.norm(embeddings[:, None] - embeddings[None], axis=2)
    assert distances[~np.eye(8, dtype=bool)].min() > 1.0


def test_pytorch_computes_the_same(embedder, images, embeddings):
    pytest.importorskip("torch")
    found = serving_peer.torch_peer(embedder, "float32")(images)
    np.testing.assert_allclose(found, embeddings, atol=1e-4)


@pytest.mark.parametrize("package", ["onnxruntime", "openvino"])
def test_the_onnx_graph_computes_the_same(embedder, images, embeddings, package):
    pytest.importorskip("onnx")
    pytest.importorskip(package)
    model = serving_peer.onnx_model(InferenceNetwork(embedder, "neck"))
    if package == "onnxruntime":
        peer = serving_peer.onnxruntime_peer(model, (8, 96, 48))
    else:
        peer = serving_peer.openvino_peer(model, (8, 96, 48), "float32")
    np.testing.assert_allclose(peer(images), embeddings, atol=1e-4)


@pytest.mark.slow
def test_the_whole_runs_without_a_peer_and_with_all(capsys, monkeypatch):
    installed = sorted(set(serving.PEERS) - serving.missing_peers().keys())
    serving.main(["--quick"])
    lines = capsys.readouterr().out.splitlines()
    rows = [line.split(" | ") for line in lines if line.startswith(("| float32", "| bfloat16"))]
    assert [len(row) for row in rows] == [10] * 8 + [6] * 4
    for row in rows[:8]:
        expected = 0 if not installed else len(installed)
        expected -= "bfloat16" in row[0] and "ONNX Runtime" in installed
        assert sum("[" in cell for cell in row) == expected

    monkeypatch.setattr(serving, "missing_peers", lambda: dict.fromkeys(serving.PEERS, "the_package"))
    serving.main(["--quick", "--stream=one"])
    said = capsys.readouterr().out
    assert said.count("the_package is not installed") == len(serving.PEERS)
    assert "one-stream" in said
    assert "[" not in said.split("Images/s")[1].split("\n", 1)[1]


def test_another_network_stops_the_benchmark():
    ours, other = np.eye(2, 4), np.eye(2, 4) + 0.01
    functions = {"ours": lambda: ours, "peer": lambda: ours}
    assert serving.require_same(functions, "decoded", "float32") == {"peer": 0.0}
    with pytest.raises(SystemExit, match=r"Embeddings of peer are up to 0\.02 from ours \(decoded, float32"):
        serving.require_same(functions | {"peer": lambda: other}, "decoded", "float32")
    with pytest.raises(SystemExit, match="up to nan"):
        serving.require_same(functions | {"peer": lambda: np.nan * ours}, "decoded", "float32")


def test_functions_take_turns():
    calls = []
    seconds = serving.alternate({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, 3)
    assert calls == ["a", "b"] * 5  # two rounds are not counted
    assert {name: values.shape for name, values in seconds.items()} == {"a": (3, 2), "b": (3, 2)}


def test_cells_are_rates_ratios_per_round_and_latencies():
    seconds = {
        "ours": np.array([(1.0, 0.5), (2.0, 0.25), (3.0, 0.5)]),
        "ONNX Runtime": np.array([(1.0, 1.0), (1.0, 1.0), (1.0, 0.5)]),
    }
    assert serving.row(seconds, 4) == ["8.0", "-", "4.0", "-", "-", "2.00 [1.00, 4.00]", "-"]
    assert serving.latencies(seconds) == ["2000.0 / 2980.0", "-", "1000.0 / 1000.0", "-"]
