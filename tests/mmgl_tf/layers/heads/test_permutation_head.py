import keras
import numpy as np
import tensorflow as tf

from mmgl_tf.layers.heads.permutation_head import PermutationHead


def test_logits_are_a_dense_layer_on_the_mean_over_positions():
    random = np.random.default_rng(0)
    feature_map = random.normal(size=(3, 6, 2, 5)).astype(np.float32)
    head = PermutationHead(4, init_stddev=0.5)
    logits = head(feature_map).numpy()
    bias = random.normal(size=16).astype(np.float32)
    kernel = head.affinity.kernel.numpy()
    head.affinity.bias.assign(bias)
    assert logits.shape == (3, 4, 4)
    for b in range(3):
        pooled = np.mean([feature_map[b, i, j] for i in range(6) for j in range(2)], axis=0)
        for slot in range(4):
            for position in range(4):
                column = slot * 4 + position
                expected = sum(pooled[c] * kernel[c, column] for c in range(5))
                np.testing.assert_allclose(logits[b, slot, position], expected, atol=1e-5)
                np.testing.assert_allclose(
                    head(feature_map)[b, slot, position], expected + bias[column], atol=1e-5
                )


def test_initial_weights_are_small_and_named():
    keras.utils.set_random_seed(0)
    head = PermutationHead(6, init_stddev=0.001, name="permutation_head")
    head.build((None, 18, 9, 2048))
    assert head.count_params() == 2048 * 36 + 36
    np.testing.assert_allclose(head.affinity.kernel.numpy().std(), 0.001, rtol=0.02)
    assert not head.affinity.bias.numpy().any()
    assert [weight.path for weight in head.weights] == [
        "permutation_head/affinity/kernel",
        "permutation_head/affinity/bias",
    ]


def test_float32_from_a_half_precision_feature_map():
    # The mean, 1 + 1/1024, is not a bfloat16 number.
    feature_map = np.ones((1, 64, 64, 1), np.float32)
    feature_map[0, 0, 0, 0] = 5.0
    head = PermutationHead(2, init_stddev=1.0, dtype="mixed_bfloat16")
    logits = head(tf.cast(feature_map, tf.bfloat16))
    assert logits.dtype == tf.float32
    np.testing.assert_allclose(
        logits.numpy().ravel(), (1.0 + 1.0 / 1024) * head.affinity.kernel.numpy()[0], rtol=1e-6
    )


def test_config_round_trip():
    head = PermutationHead(3, init_stddev=0.2, name="order")
    copy = PermutationHead.from_config(head.get_config())
    assert copy.get_config() == head.get_config()
    assert copy(np.zeros((2, 3, 3, 4), np.float32)).shape == (2, 3, 3)
