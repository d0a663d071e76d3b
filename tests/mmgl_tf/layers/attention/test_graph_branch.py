import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

from mmgl_tf.layers.attention.graph_branch import GraphBranch
from mmgl_tf.layers.dropout import dropout
from mmgl_tf.layers.seeded_uniform import seed_of
from tests.mmgl_tf.layers.attention.test_graph_attention import slow_attention
from tests.mmgl_tf.layers.slow_layers import assert_layer_follows, largest_tensor, softmax

IDENTITIES = np.array([2, 0, 2, 0, 1])
FEATURES = np.random.RandomState(0).randn(5, 6)
SEED = tf.constant([7, 8])


def built(classes=3, heads=2, units=4, channels=6, **kwargs):
    branch = GraphBranch(classes, heads, units, **kwargs)
    branch.build((None, channels))
    return branch


@functools.cache
def mask_of(shape, rate, place):
    return dropout(tf.ones(shape, tf.float64), rate, seed_of(SEED, place)).numpy() if rate else 1.0


def slow_branch(values, x, heads=2, rate=0.0):
    edges = IDENTITIES[:, None] == IDENTITIES

    def mask(shape, place):
        return mask_of(tuple(shape), rate, place)

    def head(name, nodes, activate, place):
        own = {leaf: values[f"{name}/{leaf}"] for leaf in ("kernel", "attention")}
        return slow_attention(own, nodes, edges, activate=activate, mask=mask((5, 5), place))

    nodes = x * mask(x.shape, heads + 2)
    hidden = np.concatenate([head(f"head{i}", nodes, True, i) for i in range(heads)], axis=1)
    logits = head("output", hidden * mask(hidden.shape, heads + 1), False, heads)
    return np.log(softmax(np.where(logits > 0, logits, np.expm1(np.minimum(logits, 0)))))


def test_values_and_gradients_follow_the_slow_version():
    assert_layer_follows(built, lambda layer, x: layer(x, IDENTITIES), slow_branch, FEATURES)


def test_dropout_has_one_mask_for_all_heads_and_one_for_each_attention():
    assert_layer_follows(
        lambda: built(rate=0.3),
        lambda layer, x: layer(x, IDENTITIES, training=True, seed=SEED),
        lambda values, x: slow_branch(values, x, rate=0.3),
        FEATURES,
    )


def test_results_are_log_probabilities_and_noise_is_the_seeds():
    branch = built()
    x = FEATURES.astype("float32")
    found = branch(x, IDENTITIES, training=True, seed=SEED).numpy()
    np.testing.assert_allclose(np.exp(found).sum(axis=1), 1.0, rtol=1e-5)
    np.testing.assert_array_equal(branch(x, IDENTITIES, training=True, seed=SEED), found)
    assert (branch(x, IDENTITIES, training=True, seed=SEED + 1).numpy() != found).any()
    np.testing.assert_array_equal(branch(x, IDENTITIES, seed=SEED), branch(x, IDENTITIES))
    with pytest.raises(ValueError, match=r"seed=None in training; expected int32 \[2\]"):
        branch(x, IDENTITIES, training=True)


def test_names_of_identities_do_not_matter_and_order_moves_rows():
    branch = built()
    found = branch(FEATURES, IDENTITIES).numpy()
    order = np.array([3, 0, 4, 2, 1])
    again = branch(FEATURES[order], 90 - 7 * IDENTITIES[order])
    np.testing.assert_allclose(again, found[order], atol=1e-6)


def test_xla_computes_the_same():
    branch = built()
    call = tf.function(
        lambda x, y, seed: branch(x, y, training=True, seed=seed), jit_compile=True, autograph=False
    )
    x = tf.constant(FEATURES, tf.float32)
    expected = branch(x, IDENTITIES, training=True, seed=SEED)
    np.testing.assert_allclose(call(x, tf.constant(IDENTITIES), SEED), expected, atol=1e-6)


def test_the_published_sizes_and_no_tensor_of_pairs():
    branch = GraphBranch(395)
    branch.build((None, 2048))
    shapes = {v.path: tuple(v.shape) for v in branch.trainable_variables}
    expected = {}
    for i in range(4):
        expected |= {f"graph/head{i}/kernel": (2048, 512), f"graph/head{i}/attention": (1024, 1)}
    expected |= {"graph/output/kernel": (2048, 395), "graph/output/attention": (790, 1)}
    assert shapes == expected
    largest = largest_tensor(
        lambda x, y: branch(x, y, training=True, seed=SEED),
        tf.TensorSpec([64, 2048]),
        tf.TensorSpec([64], tf.int32),
    )
    assert largest == 2048 * 512  # its own weights; 64 x 64 x 1024 would be four times that


def test_config_rebuilds_the_layer():
    branch = built(rate=0.1, slope=0.3, place="x", seed=3)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(branch))
    assert again.get_config() == branch.get_config()
    for one, other in zip(branch.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert branch.compute_output_shape((None, 6)) == (None, 3)
    with pytest.raises(ValueError, match="heads=0; expected an integer of at least 1"):
        GraphBranch(3, heads=0)
