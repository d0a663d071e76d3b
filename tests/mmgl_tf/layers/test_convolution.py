import keras
import numpy as np
import pytest
import tensorflow as tf

from mmgl_tf.layers.convolution import PaddedConv2D, PaddedMaxPool2D, kaiming_normal_fan_out


def slow_windows(images, size, stride, padding, fill):
    """Yields (row, column, window [B, size, size, C]) of symmetrically padded images."""
    padded = np.pad(images, [(0, 0), (padding, padding), (padding, padding), (0, 0)], constant_values=fill)
    for i, row in enumerate(range(0, padded.shape[1] - size + 1, stride)):
        for j, column in enumerate(range(0, padded.shape[2] - size + 1, stride)):
            yield i, j, padded[:, row : row + size, column : column + size]


def slow_convolution(images, kernel, stride, padding):
    cells = {
        (i, j): np.einsum("bhwc,hwcf->bf", window, kernel)
        for i, j, window in slow_windows(images, kernel.shape[0], stride, padding, 0.0)
    }
    return assemble(cells)


def slow_max_pool(images, size, stride, padding):
    return assemble(
        {
            (i, j): window.max(axis=(1, 2))
            for i, j, window in slow_windows(images, size, stride, padding, -np.inf)
        }
    )


def assemble(cells):
    rows, columns = (1 + max(index[axis] for index in cells) for axis in (0, 1))
    return np.stack([np.stack([cells[i, j] for j in range(columns)], 1) for i in range(rows)], 1)


@pytest.mark.parametrize(("size", "stride"), [(7, 2), (5, 2), (3, 2), (3, 1), (1, 1), (1, 2)])
@pytest.mark.parametrize("shape", [(2, 12, 8, 3), (1, 9, 7, 3)])
@pytest.mark.parametrize("padding", [None, 0, 1])
def test_convolution_follows_the_slow_version(size, stride, shape, padding):
    random = np.random.RandomState(0)
    images = random.randn(*shape).astype("float32")
    layer = PaddedConv2D(4, size, stride, padding)
    found = layer(images).numpy()
    expected = slow_convolution(images, layer.kernel.numpy(), stride, layer.padding)
    assert layer.padding == (size // 2 if padding is None else padding)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert layer.compute_output_shape(shape) == found.shape


def test_strided_convolution_is_not_shifted_as_keras_same_padding_is():
    images = np.zeros((1, 8, 8, 1), "float32")
    images[0, 0, 0] = 1.0
    layer = PaddedConv2D(1, 3, 2, kernel_initializer="ones")
    np.testing.assert_array_equal(layer(images).numpy()[0, :, :, 0] != 0, np.pad([[True]], [(0, 3), (0, 3)]))
    images = np.roll(images, (1, 1), axis=(1, 2))  # an odd cell lies in four windows, and only with padding 1
    assert layer(images).numpy().sum() == 4.0


@pytest.mark.parametrize("stride", [1, 2])
def test_gradients_are_those_of_the_slow_version(stride):
    random = np.random.RandomState(1)
    images = random.randn(2, 6, 4, 2).astype("float32")
    layer = PaddedConv2D(3, 3, stride)
    layer.build(images.shape)
    direction = random.randn(*layer.compute_output_shape(images.shape)).astype("float32")
    with tf.GradientTape() as tape:
        x = tf.constant(images)
        tape.watch(x)
        value = tf.reduce_sum(layer(x) * direction)
    by_image, by_kernel = tape.gradient(value, [x, layer.kernel.value])
    kernel, change = layer.kernel.numpy(), random.randn(*layer.kernel.shape)
    moved = slow_convolution(images, change, stride, 1)
    np.testing.assert_allclose(np.sum(by_kernel * change), np.sum(moved * direction), rtol=1e-4)
    change = random.randn(*images.shape)
    moved = slow_convolution(change, kernel, stride, 1)
    np.testing.assert_allclose(np.sum(by_image * change), np.sum(moved * direction), rtol=1e-4)


@pytest.mark.parametrize("shape", [(2, 12, 8, 3), (1, 9, 7, 2), (1, 5, 6, 1), (1, 1, 1, 1), (1, 2, 3, 1)])
@pytest.mark.parametrize(("size", "stride"), [(3, 2), (5, 2), (3, 1)])
def test_max_pool_follows_the_slow_version(shape, size, stride):
    images = np.abs(np.random.RandomState(2).randn(*shape)).astype("float32")
    layer = PaddedMaxPool2D(size, stride)
    np.testing.assert_array_equal(layer(images), slow_max_pool(images, size, stride, size // 2))
    assert layer.compute_output_shape(shape) == layer(images).shape


@pytest.mark.parametrize("layer", [PaddedMaxPool2D(), PaddedConv2D(4, 5, 2), PaddedConv2D(4, 3)])
def test_an_unknown_size_gives_what_the_known_one_gives(layer):
    images = np.abs(np.random.RandomState(3).randn(2, 9, 6, 3)).astype("float32")
    unknown = tf.function(
        layer.__call__, input_signature=[tf.TensorSpec([None, None, None, 3])], autograph=False
    )
    np.testing.assert_array_equal(unknown(images), layer(images))


def test_initial_kernels_have_he_fan_out_variance_and_follow_the_seed():
    draw = kaiming_normal_fan_out(7)((3, 3, 64, 128)).numpy()
    assert draw.std() == pytest.approx(np.sqrt(2 / (3 * 3 * 128)), rel=0.02)
    assert abs(draw).max() > 3.5 * draw.std()  # not truncated
    np.testing.assert_array_equal(draw, kaiming_normal_fan_out(7)((3, 3, 64, 128)))
    assert np.any(draw != kaiming_normal_fan_out(8)((3, 3, 64, 128)).numpy())


@pytest.mark.parametrize(("size", "stride"), [(3, 1), (1, 1), (1, 2)])
def test_mixed_precision_computes_in_bfloat16_and_keeps_float32_kernels(size, stride):
    exact, mixed = PaddedConv2D(4, size, stride), PaddedConv2D(4, size, stride, dtype="mixed_bfloat16")
    images = tf.constant(np.random.RandomState(4).randn(2, 6, 8, 3).astype("float32"))
    results = []
    for layer in (exact, mixed):
        layer.build(images.shape)
        with tf.GradientTape() as tape:
            tape.watch(images)
            found = layer(images)
            value = tf.reduce_sum(tf.cast(found, tf.float32) ** 2)
        results.append([found, *tape.gradient(value, [images, layer.kernel.value])])
    assert mixed.kernel.dtype == "float32"
    assert [tensor.dtype.name for tensor in results[1]] == ["bfloat16", "float32", "float32"]
    for expected, found in zip(*results, strict=True):
        assert found.shape == expected.shape
        error = np.linalg.norm(tf.cast(found, tf.float32) - expected) / np.linalg.norm(expected)
        assert error < 0.02


@pytest.mark.parametrize(
    "layer",
    [
        PaddedConv2D(4, 5, 2, padding=1, kernel_initializer="ones", name="conv"),
        PaddedConv2D(4, 5, seed=9, name="conv"),
        PaddedMaxPool2D(5, 3, 1, name="pool"),
    ],
)
def test_config_rebuilds_the_layer(layer):
    config = keras.saving.serialize_keras_object(layer)
    again = keras.saving.deserialize_keras_object(config)
    assert again.get_config() == layer.get_config()
    images = np.abs(np.random.RandomState(5).randn(1, 11, 9, 2)).astype("float32")
    np.testing.assert_array_equal(again(images), layer(images))


def test_bad_arguments_say_what_was_expected():
    with pytest.raises(ValueError, match="strides=0; expected an integer of at least 1"):
        PaddedConv2D(4, 3, 0)
    with pytest.raises(ValueError, match="known number of channels"):
        PaddedConv2D(4, 3).build((None, 8, 8, None))
