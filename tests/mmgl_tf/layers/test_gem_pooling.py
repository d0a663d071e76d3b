import keras
import numpy as np
import pytest
import tensorflow as tf

from mmgl_tf.layers.gem_pooling import GeMPooling


def slow_gem(feature_map, p=3.0, epsilon=1e-12):
    """One image and channel at a time, float64."""
    batch, height, width, channels = feature_map.shape
    pooled = np.zeros((batch, channels))
    for b in range(batch):
        for c in range(channels):
            total = sum(float(feature_map[b, i, j, c]) ** p for i in range(height) for j in range(width))
            pooled[b, c] = (total / (height * width) + epsilon) ** (1 / p)
    return pooled


def drawn(shape=(3, 4, 2, 5), seed=0):
    """What a ReLU leaves: half of it zeros."""
    return np.maximum(np.random.RandomState(seed).randn(*shape), 0).astype("float32")


@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize(("p", "epsilon"), [(3.0, 1e-12), (1.0, 1e-12), (2.0, 0.1), (4.5, 1e-6)])
def test_pooling_follows_the_slow_version(p, epsilon, jit):
    layer = tf.function(GeMPooling(p, epsilon), jit_compile=jit, autograph=False)
    x = drawn()
    np.testing.assert_allclose(layer(x), slow_gem(x, p, epsilon), rtol=1e-5)


def test_it_lies_between_the_mean_and_the_maximum():
    x = drawn()
    pooled = GeMPooling()(x).numpy()
    assert (pooled > x.mean(axis=(1, 2))).all()
    assert (pooled < x.max(axis=(1, 2))).all()
    np.testing.assert_allclose(GeMPooling(1.0)(x), x.mean(axis=(1, 2)), rtol=1e-6)
    np.testing.assert_allclose(GeMPooling(60.0, 1e-30)(x), x.max(axis=(1, 2)), rtol=0.05)


def test_the_power_is_fixed():
    layer = GeMPooling()
    layer(drawn())
    assert layer.variables == []


@pytest.mark.parametrize("p", [1.0, 1.5, 3.0])
@pytest.mark.parametrize("value", [0.0, 1e-30, 1e-12, 1e-5])
def test_gradient_is_finite_at_and_near_zero(p, value):
    x = tf.Variable(np.full((2, 18, 9, 3), value, "float32"))
    with tf.GradientTape() as tape:
        pooled = GeMPooling(p)(x)
    assert np.isfinite(pooled).all()
    gradient = tape.gradient(pooled, x).numpy()
    assert np.isfinite(gradient).all()
    assert (gradient <= 1.001 / (18 * 9)).all()  # a constant map's gradient, which epsilon only makes smaller


def test_gradient_follows_differences():
    x = np.random.RandomState(1).rand(1, 2, 3, 1).astype("float32")
    variable = tf.Variable(x)
    with tf.GradientTape() as tape:
        pooled = GeMPooling()(variable)
    found = tape.gradient(pooled, variable).numpy()
    for place in np.ndindex(*x.shape):
        shift = np.zeros(x.shape)
        shift[place] = 1e-6
        slope = (slow_gem(x + shift)[0, 0] - slow_gem(x - shift)[0, 0]) / 2e-6
        assert found[place] == pytest.approx(slope, rel=1e-4, abs=1e-7)


def test_zeros_come_out_as_the_root_of_epsilon():
    np.testing.assert_allclose(GeMPooling()(np.zeros((1, 2, 2, 3), "float32")), [[1e-4] * 3], rtol=1e-6)


@pytest.mark.parametrize("kind", ["bfloat16", "float16"])
def test_half_precision_is_raised_before_the_power(kind):
    keras.mixed_precision.set_global_policy(f"mixed_{kind}")
    x = tf.cast(drawn() * 50, kind)  # 100^3 overflows float16
    layer = GeMPooling()
    pooled = layer(x)
    assert layer.compute_dtype == "float32"
    assert pooled.dtype == tf.float32
    np.testing.assert_allclose(pooled, slow_gem(tf.cast(x, tf.float32).numpy()), rtol=1e-6)


def test_config_rebuilds_the_layer():
    layer = GeMPooling(2.5, 1e-6, name="pooling")
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert again.get_config() == layer.get_config()
    assert (again.p, again.epsilon, again.name) == (2.5, 1e-6, "pooling")
    assert layer.compute_output_shape((None, 18, 9, 2048)) == (None, 2048)


def test_bad_arguments_say_what_was_expected():
    with pytest.raises(ValueError, match=r"p=0\.5; expected at least 1"):
        GeMPooling(p=0.5)
    with pytest.raises(ValueError, match=r"epsilon=0\.0; expected a positive number"):
        GeMPooling(epsilon=0.0)
