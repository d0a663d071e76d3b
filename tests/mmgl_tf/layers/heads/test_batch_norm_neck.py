import keras
import numpy as np
import pytest
import tensorflow as tf

from mmgl_tf.layers.heads.batch_norm_neck import BatchNormNeck


def drawn(shape=(6, 5), seed=0):
    return (2 + 3 * np.random.RandomState(seed).randn(*shape)).astype("float32")


def built(channels=5, **kwargs):
    neck = BatchNormNeck(**{"name": "neck", **kwargs})
    neck.build((None, channels))
    return neck


def slow_neck(x, gamma, epsilon=1e-5):
    """Column by column, float64: the output, and the mean and unbiased variance of each."""
    y, mean, unbiased = np.zeros(x.shape), np.zeros(x.shape[1]), np.zeros(x.shape[1])
    for c, column in enumerate(x.astype("float64").T):
        mean[c] = sum(column) / len(column)
        squares = sum((column - mean[c]) ** 2)
        unbiased[c] = squares / (len(column) - 1)
        y[:, c] = gamma[c] * (column - mean[c]) / np.sqrt(squares / len(column) + epsilon)
    return y, mean, unbiased


@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize("epsilon", [1e-5, 0.5])
def test_training_follows_the_slow_version(epsilon, jit):
    neck, x = built(epsilon=epsilon), drawn()
    neck.gamma.assign(np.linspace(0.5, 2, 5))
    found = tf.function(lambda x: neck(x, training=True), jit_compile=jit, autograph=False)(x)
    y, mean, unbiased = slow_neck(x, neck.gamma.numpy(), epsilon)
    np.testing.assert_allclose(found, y, atol=1e-5)
    np.testing.assert_allclose(neck.moving_mean, 0.1 * mean, rtol=1e-5)
    np.testing.assert_allclose(neck.moving_variance, 0.9 + 0.1 * unbiased, rtol=1e-5)


def test_inference_uses_the_moving_statistics():
    neck, x = built(), drawn()
    neck.moving_mean.assign(np.arange(5))
    neck.moving_variance.assign(np.arange(1, 6))
    expected = neck.gamma.numpy() * (x - np.arange(5)) / np.sqrt(np.arange(1, 6) + 1e-5)
    np.testing.assert_allclose(neck(x), expected, rtol=1e-5)
    np.testing.assert_allclose(neck(x[:1]), expected[:1], rtol=1e-5)


def test_there_is_no_offset_to_learn():
    neck = built()
    assert [v.path for v in neck.trainable_variables] == ["neck/gamma"]
    assert [v.path for v in neck.non_trainable_variables] == ["neck/moving_mean", "neck/moving_variance"]
    neck.moving_mean.assign(np.arange(5))
    np.testing.assert_array_equal(neck(np.arange(5, dtype="float32")[None]), np.zeros((1, 5)))


def test_gamma_starts_near_one_by_the_seed():
    gamma = built(2048).gamma.numpy()
    assert gamma.mean() == pytest.approx(1.0, abs=1e-3)
    assert gamma.std() == pytest.approx(0.01, rel=0.05)
    np.testing.assert_array_equal(built(2048).gamma.numpy(), gamma)
    assert not np.array_equal(built(2048, seed=1).gamma.numpy(), gamma)
    assert (built(2048, deviation=0.0).gamma.numpy() == 1.0).all()
    kept = BatchNormNeck.from_config(built(deviation=0.5).get_config())
    assert kept.deviation == 0.5


def test_gradients_reach_features_and_gamma():
    neck, x = built(), tf.Variable(drawn())
    weights = np.random.RandomState(2).randn(6, 5)

    def slow(x, gamma):
        return (slow_neck(x, gamma)[0] * weights).sum()

    with tf.GradientTape() as tape:
        total = tf.reduce_sum(neck(x, training=True) * tf.constant(weights, tf.float32))
    by_x, by_gamma = tape.gradient(total, [x, neck.gamma.value])
    start, gamma = x.numpy().astype("float64"), neck.gamma.numpy().astype("float64")
    for place in np.ndindex(6, 5):
        shift = np.zeros((6, 5))
        shift[place] = 1e-5
        slope = (slow(start + shift, gamma) - slow(start - shift, gamma)) / 2e-5
        assert by_x.numpy()[place] == pytest.approx(slope, abs=1e-4)
    for c in range(5):
        assert by_gamma.numpy()[c] == pytest.approx(
            slow(start, gamma + np.eye(5)[c]) - slow(start, gamma), abs=1e-4
        )


def test_a_frozen_neck_leaves_its_statistics_alone():
    neck, x = built(), drawn()
    neck.trainable = False
    np.testing.assert_array_equal(neck(x, training=True), neck(x))
    np.testing.assert_array_equal(neck.moving_mean, np.zeros(5))


def test_it_is_float32_under_mixed_precision_also_inside_another_layer():
    keras.mixed_precision.set_global_policy("mixed_bfloat16")

    class Outer(keras.layers.Layer):
        def __init__(self):
            super().__init__()
            self.neck = BatchNormNeck(name="neck")

        def build(self, shape):
            self.neck.build(shape)

        def call(self, x, training=None):
            return self.neck(x, training=training)

    outer, x = Outer(), drawn((64, 5))
    assert outer.compute_dtype == "bfloat16"
    for training in (True, False):
        found = outer(tf.cast(x, tf.bfloat16), training=training)
        assert found.dtype == tf.float32
    assert {v.dtype for v in outer.neck.variables} == {"float32"}
    rounded = tf.cast(tf.cast(x, tf.bfloat16), tf.float32).numpy()
    expected, *_ = slow_neck(rounded, outer.neck.gamma.numpy())
    np.testing.assert_allclose(outer(tf.cast(x, tf.bfloat16), training=True), expected, atol=1e-5)


def test_config_rebuilds_the_layer(tmp_path):
    neck = built(epsilon=1e-3, momentum=0.8, seed=5)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(neck))
    assert again.get_config() == neck.get_config()
    assert (again.epsilon, again.momentum, again.seed) == (1e-3, 0.8, 5)
    np.testing.assert_array_equal(again.gamma.numpy(), neck.gamma.numpy())
    model = keras.Sequential([keras.Input((5,)), BatchNormNeck(name="neck")])
    model(drawn(), training=True)
    model.save(tmp_path / "model.keras")
    np.testing.assert_array_equal(keras.saving.load_model(tmp_path / "model.keras")(drawn()), model(drawn()))


def test_feature_maps_are_refused():
    with pytest.raises(ValueError, match=r"input shape \(None, 6, 3, 5\); expected pooled features \[B, C\]"):
        BatchNormNeck().build((None, 6, 3, 5))
