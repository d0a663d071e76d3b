import keras
import numpy as np
import pytest
import tensorflow as tf

from mmgl_tf.layers.attention.graph_attention import GraphAttention
from mmgl_tf.layers.dropout import dropout
from tests.mmgl_tf.layers.slow_layers import assert_layer_follows, largest_tensor, softmax
from tests.mmgl_tf.reference_weights import recipe

NODES = np.random.RandomState(1).randn(4, 6)
SAME = np.array([0, 1, 0, 1])[:, None] == np.array([0, 1, 0, 1])


def built(units=5, channels=6, **kwargs):
    layer = GraphAttention(units, **{"name": "head", **kwargs})
    layer.build((None, channels))
    return layer


def slow_attention(values, nodes, edges=SAME, slope=0.2, activate=True, mask=None):
    """Pair by pair, with the concatenation of the paper."""
    hidden = nodes @ values["kernel"]
    count = len(nodes)
    scores = np.full((count, count), -np.inf)
    for i in range(count):
        for j in range(count):
            if edges[i, j]:
                score = np.concatenate([hidden[i], hidden[j]]) @ values["attention"][:, 0]
                scores[i, j] = score if score > 0 else slope * score
    weights = softmax(scores) * (1 if mask is None else mask)
    found = weights @ hidden
    return np.where(found > 0, found, np.expm1(np.minimum(found, 0))) if activate else found


@pytest.mark.parametrize("activate", [True, False])
def test_golden_numbers_of_the_reference(activate):
    layer = built(activate=activate)
    layer.kernel.assign(recipe("W", (6, 5)))
    layer.attention.assign(recipe("a", (10, 1)))
    found = layer(NODES.astype("float32"), SAME).numpy()
    if activate:
        assert found.sum() == pytest.approx(5.047882, abs=1e-6)
        assert np.linalg.norm(found) == pytest.approx(3.043462, abs=1e-6)
    else:
        first = [-1.525953, 0.586077, 0.484519, 1.397996, 0.041504]
        np.testing.assert_allclose(found[0], first, atol=1e-6)


@pytest.mark.parametrize("activate", [True, False])
def test_values_and_gradients_follow_the_slow_version(activate):
    edges = SAME | np.eye(4, k=1, dtype=bool)  # in one direction: rows read
    assert_layer_follows(
        lambda: built(activate=activate, slope=0.3),
        lambda layer, x: layer(x, edges),
        lambda values, x: slow_attention(values, x, edges, 0.3, activate),
        NODES,
    )


def test_dropout_acts_on_the_attention():
    layer, seed = built(rate=0.4), tf.constant([1, 2])
    x = NODES.astype("float32")
    values = {"kernel": layer.kernel.numpy(), "attention": layer.attention.numpy()}
    mask = dropout(tf.ones([4, 4]), 0.4, seed).numpy()
    assert (mask == 0).any()
    expected = slow_attention(values, x, mask=mask)
    np.testing.assert_allclose(layer(x, SAME, training=True, seed=seed), expected, atol=1e-6)
    np.testing.assert_allclose(layer(x, SAME), slow_attention(values, x), atol=1e-6)
    with pytest.raises(ValueError, match="seed=None"):
        layer(x, SAME, training=True)


def test_nodes_of_different_components_do_not_meet():
    layer = built()
    moved = NODES.copy()
    moved[1] += 5
    first, again = layer(NODES, SAME).numpy(), layer(moved, SAME).numpy()
    np.testing.assert_array_equal(first[[0, 2]], again[[0, 2]])
    assert np.abs(first[3] - again[3]).max() > 0.1


def test_no_pairs_features_are_stored():
    layer = built(64, 48)
    n = 50
    largest = largest_tensor(layer, tf.TensorSpec([n, 48]), tf.TensorSpec([n, n], tf.bool))
    assert largest == n * 64


def test_initial_values_are_xaviers_at_the_references_gain():
    layer = built(512, 2048, place="graph/head0")
    for weight, limit in ((layer.kernel, np.sqrt(6 / 2560)), (layer.attention, np.sqrt(6 / 1025))):
        value = weight.numpy()
        assert 0.99 * 1.414 * limit < np.abs(value).max() <= 1.414 * limit * (1 + 1e-6)
        assert value.std() == pytest.approx(1.414 * limit / np.sqrt(3), rel=0.05)
    assert [tuple(v.shape) for v in layer.trainable_variables] == [(2048, 512), (1024, 1)]
    again = built(512, 2048, place="graph/head0", name="other")
    np.testing.assert_array_equal(again.kernel, layer.kernel)
    assert not np.array_equal(built(512, 2048, place="graph/head1").kernel, layer.kernel)


def test_it_is_float32_under_mixed_precision():
    keras.mixed_precision.set_global_policy("mixed_float16")
    found = built()(tf.cast(NODES, tf.float16), SAME)
    assert found.dtype == tf.float32
    assert np.isfinite(found).all()


def test_config_rebuilds_the_layer():
    layer = built(slope=0.1, rate=0.3, activate=False, place="x", seed=4)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert again.get_config() == layer.get_config()
    assert layer.compute_output_shape((None, 6)) == (None, 5)


def test_bad_arguments_say_what_was_expected():
    with pytest.raises(ValueError, match=r"units=0, rate=0\.2; expected an integer"):
        GraphAttention(0)
