"""DDAG step by step: what its graph sees, whom it teaches, and how its weight goes from epoch to epoch."""

import numpy as np
import pytest
import tensorflow as tf

from mmgl_tf.backbones import Encoder
from mmgl_tf.finetuning.part_embedder import PartEmbedder
from mmgl_tf.training.checkpoints import collect, restore
from tests.contracts.cases import case, take_step

PARTS = ("identity", "triplet", "parts")


@pytest.fixture(scope="module")
def made():
    """(model, its case, state before any step)."""
    of = case("ddag")
    model = of.model()
    return model, of, collect(model)


@pytest.fixture
def tiny(made):
    """(model that has taken no step, its case)."""
    model, of, start = made
    restore(model, start)
    return model, of


def part_loss(figures):
    """L_P: all but the graph's loss."""
    return sum(figures[f"loss/{term}"] for term in PARTS)


def test_the_graph_has_no_weight_in_the_first_epoch_and_then_that_of_the_epoch_before(tiny):
    model, of = tiny
    for mean in model.train_means.values():
        mean.reset_state()
    seen = []
    for step in range(2):  # an epoch of two steps, whose figures are means since its beginning
        figures = {name: float(value) for name, value in model.train_step(of.batch(step)).items()}
        seen.append(part_loss(figures))
        assert figures["weight/graph"] == 0.0
        assert figures["loss/total"] == pytest.approx(part_loss(figures), rel=1e-6)
        assert figures["loss/graph"] > 0.1
    assert abs(seen[1] - seen[0]) > 1e-3, "the mean must be another number than the first step's"
    model.after_epoch()
    expected = 1.0 / (1.0 + seen[1])
    assert float(model.graph_weight) == pytest.approx(expected, rel=1e-6)

    figures = take_step(model, of.batch(2))
    assert figures["weight/graph"] == pytest.approx(expected, rel=1e-6)
    total = part_loss(figures) + expected * figures["loss/graph"]
    assert figures["loss/total"] == pytest.approx(total, rel=1e-6)
    model.after_epoch()
    assert float(model.graph_weight) == pytest.approx(1.0 / (1.0 + part_loss(figures)), rel=1e-6)


def test_the_mean_that_sets_the_weight_is_of_what_is_descended():
    of = case("ddag", triplet_weight=0.5)
    model = of.model()
    figures = take_step(model, of.batch(0))
    model.after_epoch()
    assert float(model.graph_weight) == pytest.approx(1.0 / (1.0 + figures["loss/total"]), rel=1e-6)


def gradients_of(model, batch, term):
    """{path: gradient of a term, or None where it does not reach}."""
    with tf.GradientTape() as tape:
        terms, _ = model.loss_terms(batch, model.step_seed())
    found = tape.gradient(terms[term], model.trained_variables)
    return {v.path: gradient for v, gradient in zip(model.trained_variables, found, strict=True)}


def beginnings(gradients):
    """First places of the paths that a gradient reaches, such as "encoder"."""
    return {path.split("/")[0] for path, gradient in gradients.items() if gradient is not None}


def test_which_weights_a_term_teaches(tiny):
    model, of = tiny
    batch = of.batch(0)
    graph, parts, identity, triplet = (
        gradients_of(model, batch, term) for term in ("graph", "parts", "identity", "triplet")
    )
    # The graph is not detached, and does not see the neck.
    assert beginnings(graph) == {"encoder", "graph"}
    assert beginnings(parts) == {"encoder", "neck", "parts", "classifier"}
    assert beginnings(identity) == {"encoder", "neck", "classifier"}
    assert beginnings(triplet) == {"encoder"}
    for found in (graph, parts):
        kernel = found["encoder/stem_infrared/conv1/kernel"]
        assert float(tf.norm(kernel)) > 1e-6
    assert not [path for path in graph if path.startswith("graph/") and graph[path] is None]
    assert not [path for path in parts if path.startswith("parts/") and parts[path] is None]


def test_the_residual_is_the_feature_behind_the_neck_or_before_it():
    batch = {m: np.random.default_rng(0).normal(size=(2, 96, 48, 3)).astype("float32") for m in ("visible",)}
    for residual in ("neck", "pool"):
        embedder = case("ddag", ddag_residual=residual).model().embedder
        embedder.neck.moving_mean.assign(tf.fill((256,), 0.5))
        found = embedder(batch)
        bare = embedder.parts(embedder.feature_map(batch), tf.zeros((2, 256)))
        np.testing.assert_allclose(
            found["attention"] - bare, embedder.parts.neck.gamma * found[residual], rtol=1e-3, atol=1e-4
        )


def test_dropout_follows_the_step(tiny):
    model, of = tiny
    outputs = model.outputs(of.batch(0))
    first, again = (model.joined(outputs)["graph"].numpy() for _ in range(2))
    np.testing.assert_array_equal(first, again)
    model.optimizer.iterations.assign(1)
    assert np.abs(model.joined(outputs)["graph"].numpy() - first).max() > 1e-3


def test_more_parts_than_rows_are_refused():
    embedder = PartEmbedder(Encoder("resnet10", "two"), parts=7)
    with pytest.raises(ValueError, match=r"--ddag_parts=7 at --image_height=96: .* has 6 rows"):
        embedder.build_from(96, 48)
