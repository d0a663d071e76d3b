"""DDAG's branches on the two-stream network, by the reference's golden numbers."""

import numpy as np
import pytest
import tensorflow as tf

from mmgl_tf.backbones import Encoder
from mmgl_tf.finetuning.embedder import Embedder
from mmgl_tf.layers.attention.graph_branch import GraphBranch
from mmgl_tf.layers.attention.part_aggregation import PartAggregation
from mmgl_tf.losses.identification.graph_identity import graph_identity_loss
from mmgl_tf.losses.identification.identity import identity_loss
from tests.mmgl_tf.backbones.golden_images import both, drawn_images
from tests.mmgl_tf.reference_weights import assign_by_recipe, recipe

LABELS = np.array([0, 1, 0, 1])
KEYS = {"query": "wpa.fc1.0", "key": "wpa.fc2", "value": "wpa.fc3"}


def neck_by_recipe(neck, key):
    neck.gamma.assign(recipe(f"{key}.weight", (2048,)))
    neck.moving_mean.assign(recipe(f"{key}.running_mean", (2048,)))
    neck.moving_variance.assign(recipe(f"{key}.running_var", (2048,)))
    neck.beta = recipe(f"{key}.bias", (2048,)).astype("float32")  # see `test_reference_networks`


@pytest.fixture(scope="module")
def network():
    """(embedder, parts, graph, classifier [2048, 395])."""
    embedder = Embedder(Encoder("resnet50", "two"))
    embedder.build_from(96, 48)
    assign_by_recipe(embedder.encoder.variables)
    neck_by_recipe(embedder.neck, "bottleneck")

    parts = PartAggregation()
    parts.build((None, 6, 3, 2048))
    for name, key in KEYS.items():
        linear = getattr(parts, name)
        linear.kernel.assign(recipe(f"{key}.weight", (2048, 2048)).T)
        linear.bias.assign(recipe(f"{key}.bias", (2048,)))
    parts.gate.assign(recipe("wpa.gate", (3,)))
    neck_by_recipe(parts.neck, "wpa.bottleneck")

    graph = GraphBranch(395)
    graph.build((None, 2048))
    for i in range(4):
        head = getattr(graph, f"head{i}")
        head.kernel.assign(recipe(f"attention_{i}.W", (2048, 512)))
        head.attention.assign(recipe(f"attention_{i}.a", (1024, 1)))
    graph.output_head.kernel.assign(recipe("out_att.W", (2048, 395)))
    graph.output_head.attention.assign(recipe("out_att.a", (790, 1)))
    return embedder, parts, graph, recipe("classifier.weight", (395, 2048)).T.astype("float32")


def test_inference_reproduces_the_reference(network):
    embedder, parts, _, _ = network
    feature_map = embedder.feature_map({"visible": drawn_images(11)}, False)
    neck = embedder.neck(embedder.pool(feature_map), training=False)
    found = tf.math.l2_normalize(parts(feature_map, neck), axis=1).numpy()
    assert found.sum() == pytest.approx(43.445987, rel=1e-5)
    np.testing.assert_allclose(found[0, :4], [0.021786, -0.000708, 0.009228, -0.023899], atol=2e-6)


def test_training_reproduces_the_reference(network):
    embedder, parts, graph, classifier = network
    feature_map = embedder.feature_map(both(), True)
    pool = embedder.pool(feature_map)
    neck = embedder.neck(pool, training=True)
    logits = parts(feature_map, neck, training=True) @ classifier
    assert tf.norm(logits).numpy() == pytest.approx(41.071419, rel=1e-3)
    assert identity_loss(logits, LABELS).numpy() == pytest.approx(5.7543182, rel=1e-3)
    found = graph(pool, LABELS)
    assert tf.reduce_sum(found).numpy() == pytest.approx(-13997.746, rel=1e-4)
    assert graph_identity_loss(found, LABELS).numpy() == pytest.approx(10.1007242, rel=1e-4)
