import keras
import numpy as np
import pytest
import tensorflow as tf

from mmgl_tf.layers.heads.prototypes import Prototypes


def built(count=5, size=4, **kwargs):
    layer = Prototypes(count, **kwargs)
    layer.build((None, size))
    return layer


def test_scores_are_products_with_every_prototype():
    layer, x = built(), np.random.RandomState(0).randn(3, 4).astype("float32")
    kernel = layer.kernel.numpy()
    expected = [
        [sum(a * b for a, b in zip(row, prototype, strict=True)) for prototype in kernel] for row in x
    ]
    np.testing.assert_allclose(layer(x), expected, atol=1e-6)
    assert layer.compute_output_shape((3, 4)) == (3, 5)


def test_gradients_do_not_go_through_the_normalisation():
    layer, x = built(), np.random.RandomState(0).randn(3, 4).astype("float32")
    direction = np.random.RandomState(1).randn(3, 5).astype("float32")
    inputs = tf.Variable(x)
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(layer(inputs) * direction)
    by_x, by_kernel = tape.gradient(total, [inputs, layer.kernel.value])
    np.testing.assert_allclose(by_x, direction @ layer.kernel.numpy(), atol=1e-6)
    np.testing.assert_allclose(by_kernel, direction.T @ x, atol=1e-6)


def test_rows_begin_with_unit_length():
    kernel = built(50, 16).kernel.numpy()
    np.testing.assert_allclose(np.linalg.norm(kernel, axis=1), 1.0, rtol=1e-6)
    np.testing.assert_array_equal(built(50, 16).kernel.numpy(), kernel)
    assert (built(50, 16, seed=1).kernel.numpy() != kernel).any()
    assert (built(50, 16, name="others").kernel.numpy() != kernel).any()


@pytest.mark.parametrize("compiled", [False, True])
def test_normalise_assigns_unit_rows(compiled):
    layer = built()
    moved = np.random.RandomState(3).randn(5, 4) * np.array([[1e-6], [0.1], [1], [10], [1e6]])
    layer.kernel.assign(moved)
    (tf.function(layer.normalise, autograph=False) if compiled else layer.normalise)()
    expected = moved / np.linalg.norm(moved, axis=1, keepdims=True)
    np.testing.assert_allclose(layer.kernel.numpy(), expected, rtol=1e-5)


def test_a_prototype_of_length_zero_stays():
    layer = built()
    layer.kernel.assign(np.zeros((5, 4)))
    layer.normalise()
    np.testing.assert_array_equal(layer.kernel.numpy(), np.zeros((5, 4)))


def test_cosines_of_unit_vectors():
    layer = built()
    scores = layer(layer.kernel.numpy()).numpy()
    np.testing.assert_allclose(np.diag(scores), 1.0, rtol=1e-6)
    assert np.abs(scores).max() <= 1 + 1e-6


def test_there_is_no_bias_and_all_is_float32():
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    layer = built()
    assert [v.path for v in layer.weights] == ["prototypes/kernel"]
    assert layer.kernel.dtype == "float32"
    assert layer(tf.ones([2, 4], tf.bfloat16)).dtype == tf.float32


def test_config_and_weights_survive_saving(tmp_path):
    x = np.random.RandomState(0).randn(3, 4).astype("float32")
    model = keras.Sequential([keras.Input((4,)), Prototypes(5, seed=2)])
    model.layers[0].kernel.assign(np.random.RandomState(1).randn(5, 4))
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert again.layers[0].get_config() == model.layers[0].get_config()
    np.testing.assert_array_equal(again(x), model(x))


def test_a_wrong_count_says_what_was_expected():
    with pytest.raises(ValueError, match="count=0; expected an integer of at least 1"):
        Prototypes(0)
